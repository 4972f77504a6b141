import Files
import JSON
import Testing
import TestSupport

/// `prepare` and `compare` on data as users keep it.
@Suite struct DataSourceTests {
  private static let rows = (1...6).map { ("Question \($0)?", "Answer \($0)") }
  private static let json = rows.map { #"{"instruction": "\#($0)", "output": "\#($1)"}"# + "\n" }.joined()

  private func data(_ sft: SFTBinary, _ arguments: [String]) throws -> String {
    let outcome = try sft.run(["prepare"] + arguments + ["--model", SFTBinary.model, "--val", "0.34"])
    try #require(outcome.code == 0, "\(arguments): \(outcome.errors)")
    return try sft.succeed("inspect", "data", "--jsonl").output
  }

  @Test func everyFormatGivesTheSameData() throws {
    try withSFT { sft in
      try sft.write(Self.json, to: "d.jsonl")
      let expected = try data(sft, ["d.jsonl"])
      try sft.write("instruction,output\n" + Self.rows.map { "\($0),\($1)\n" }.joined(), to: "d.csv")
      #expect(try data(sft, ["d.csv"]) == expected)
      try sft.write("Task\tResult\n" + Self.rows.map { "\($0)\t\($1)\n" }.joined(), to: "d.tsv")
      #expect(try data(sft, ["d.tsv", "--columns", "instruction=Task,output=Result"]) == expected)
      #expect(try sft.shell("gzip -k d.jsonl d.csv").code == 0)
      #expect(try data(sft, ["d.jsonl.gz"]) == expected)
      #expect(try data(sft, ["d.csv.gz"]) == expected)
      #expect(try sft.shell("cat d.csv.gz | sft prepare - --model '\(SFTBinary.model)' --val 0.34").code == 0)
      #expect(try sft.succeed("inspect", "data", "--jsonl").output == expected)
      let rows = try sft.succeed("inspect", "records", "d.csv").output
      #expect(try sft.succeed("inspect", "records", "d.csv.gz").output == rows)
      #expect(
        try sft.succeed("inspect", "records", "d.tsv", "--limit", "1").output
          == "{\"Task\":\"Question 1?\",\"Result\":\"Answer 1\"}\n")
    }
  }

  @Test func foldersAndDatasetsOfTheHubAreRead() throws {
    try withSFT { sft in
      let (train, held) = ("{\"question\": \"a?\", \"answer\": \"b\"}\n", "{\"question\": \"c?\", \"answer\": \"d\"}\n")
      let place = ".cache/huggingface/hub/datasets--org--name"
      for folder in ["data", "\(place)/snapshots/ab12/data"] {
        try createDirectory(sft.path(folder))
        try sft.write(train, to: folder + "/train-00000-of-00001.jsonl")
        try sft.write(held, to: folder + "/validation-00000-of-00001.jsonl")
      }
      try createDirectory(sft.path(place + "/refs"))
      try sft.write("ab12", to: place + "/refs/main")
      for (name, validation) in [("data", "data/validation-00000-of-00001.jsonl"), ("org/name", "org/name:dev")] {
        let outcome = try sft.run(["prepare", name, "--val-file", validation, "--model", SFTBinary.model])
        #expect(outcome.output.contains("2 read: 1 for training, 1 for validation"), "\(outcome.errors)")
        #expect(outcome.errors.contains("\(name): the part train, 1 file; there is validation, too."))
      }
      for (name, code, message) in [
        ("org/other", Int32(66), "there is no file \"org/other\", and no dataset of that name in \(sft.folder)/.cache"),
        ("org/name:test", 66, "there is no test part; there are \"train\" and \"validation\""),
        ("org/name:most", 64, "\"most\" is no part of a dataset"), ("nothing.jsonl", 66, "there is no such file"),
      ] {
        let outcome = try sft.run(["prepare", name, "--model", SFTBinary.model])
        #expect(outcome.code == code && outcome.errors.contains(message), "\(outcome.errors)")
      }
    }
  }

  @Test func questionsMayBeATable() throws {
    try withSFT { sft in
      try sft.write("question,answer\n\"What, then?\",That\n", to: "q.csv")
      let outcome = try sft.succeed(
        "compare", "--questions", "q.csv", "--model", SFTBinary.model, "--adapter", SFTBinary.tiny + "/adapter",
        "--max-new-tokens", "2", "--json")
      #expect(outcome.output.contains("What, then?") && outcome.output.contains("That"))
    }
  }
}
