import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `fetch`, and what a user does with what it brought.
@Suite struct FetchCommandTests {
  private static func files(of folder: String) throws -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: try directoryEntries(folder).map { ($0, try readFile(folder + "/" + $0)) })
  }

  /// From nothing but names to an answer, with the commands that each one prints or advises.
  @Test func fromNamesToAnAnswer() throws {
    try withSFT { sft in
      let model = try HubServer(try Self.files(of: SFTBinary.model))
      let table = try readFile(fixturesFolder + "/formats/alpaca.parquet")
      let data = try HubServer(["data/train-00000-of-00001.parquet": table, "README.md": []])
      defer {
        model.server.stop()
        data.server.stop()
      }
      var sft = sft
      try sft.fail(
        66,
        "cannot find the model: there is no folder 'some/model', and no snapshot with a config.json in "
          + "HERE/.cache/huggingface/hub/models--some--model. Fetch it into the cache with `sft fetch some/model`, or give "
          + "--model a folder with config.json and model.safetensors.", "prepare", SFTBinary.records, "--model",
        "some/model")
      sft.environment["HF_ENDPOINT"] = model.endpoint
      let fetched = try sft.succeed("fetch", "some/model")
      let snapshot = sft.path(".cache/huggingface/hub/models--some--model/snapshots/\(HubServer.commit)")
      let lines = fetched.output.split(separator: "\n")
      #expect(lines[0].hasPrefix("model some/model at 01234567 (main): 7 files, ") && lines[1] == snapshot)
      #expect(lines[2] == "sft prepare FILE --model some/model")
      #expect(try sft.succeed("fetch", "some/model").output.contains("; all were there\n"))
      try sft.fail(
        66,
        "there is no file \"some/data\", and no dataset of that name in HERE/.cache/huggingface/hub. Fetch it with "
          + "`sft fetch some/data --dataset`.", "prepare", "some/data", "--model", "some/model")
      sft.environment["HF_ENDPOINT"] = data.endpoint
      let report = try sft.succeed("fetch", "some/data", "--dataset", "--json").json()
      #expect(report["kind"]?.string == "dataset" && report["files"]?.array?.count == 2)
      #expect(report["files"]?.array?.allSatisfy { $0["cached"]?.bool == false } == true)
      sft.environment["HF_ENDPOINT"] = nil
      _ = try sft.succeed("prepare", "some/data", "--model", "some/model")
      _ = try sft.succeed("train", "--lora-r", "4", "--max-steps", "2")
      #expect(
        try sft.succeed("generate", "--instruction", "Hello", "--max-new-tokens", "4", "--json").json()["text"] != nil)
      // What is fetched is data for every verb that takes records.
      let loss = try sft.succeed("eval", "--data", "some/data", "--base", "--json").json()["loss"]?.double
      let rows = fixturesFolder + "/formats/alpaca.jsonl"
      #expect(try sft.succeed("eval", "--data", rows, "--base", "--json").json()["loss"]?.double == loss && loss != nil)
    }
  }

  @Test func whatIsWrongIsSaid() throws {
    try withSFT { sft in
      try sft.fail(64, "'../x' is no name of a repository. Names are owner/name.", "fetch", "../x")
      var sft = sft
      sft.environment["HF_HUB_OFFLINE"] = "1"
      try sft.fail(
        64, "HF_HUB_OFFLINE is set, so nothing is fetched. Unset it to reach the network.", "fetch", "some/model")
      sft.environment = ["HF_ENDPOINT": "http://127.0.0.1:9", "PATH": "/nowhere"]
      try sft.fail(
        66, "cannot start curl: No such file or directory. Install curl: the network is reached through it.", "fetch",
        "some/model")
    }
  }

  /// A first Ctrl-C stops it in order, and the same command goes on.
  @Test func whoStopsGoesOn() throws {
    try withSFT { sft in
      let model = try HubServer(try Self.files(of: SFTBinary.model)) { number, _, _ in
        number == 0 ? .status(503, headers: "Retry-After: 60\r\n") : nil
      }
      defer { model.server.stop() }
      var sft = sft
      sft.environment["HF_ENDPOINT"] = model.endpoint
      let running = try sft.start(["fetch", "some/model"])
      while model.paths.isEmpty { usleep(10_000) }
      usleep(200_000)
      running.process.interrupt()
      let outcome = try running.finish()
      #expect(outcome.code == 130 && outcome.errors.hasSuffix("what is done is kept. Go on with the same command.\n"))
      #expect(try sft.run("fetch", "some/model").code == 0)
    }
  }

  /// The course's own step: no-input records, one in a hundred held out, seed 42; from whatever file.
  @Test func theCoursesDataAreTheSameFromEveryFormat() throws {
    try withSFT { sft in
      let folder = fixturesFolder + "/formats/"
      let rows = try readFile(folder + "alpaca.jsonl")
      let lines = String(decoding: rows, as: UTF8.self).split(separator: "\n")
      try sft.write("[\n" + lines.joined(separator: ",\n") + "\n]\n", to: "alpaca.json")
      try sft.write("{\"version\": \"1\", \"data\": [" + lines.joined(separator: ",") + "]}", to: "wrapped.json")
      var printed: [(data: String, summary: String)] = []
      for file in [folder + "alpaca.parquet", folder + "alpaca.jsonl", "alpaca.json", "wrapped.json"] {
        let summary = try sft.succeed(
          "prepare", file, "--model", SFTBinary.model, "--only-empty-input", "--val", "0.01", "--seed", "42",
          "--overlong", "drop"
        ).output
        printed.append((try sft.succeed("inspect", "data", "--jsonl").output, summary))
      }
      #expect(printed[0].data.split(separator: "\n").count > 100)
      for other in printed.dropFirst() {
        #expect(other.data == printed[0].data && other.summary == printed[0].summary)
      }
    }
  }
}
