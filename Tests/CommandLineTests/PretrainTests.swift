import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `pretrain` and `tokenizer train`: a model folder from plain text, resume, and what they refuse.
@Suite struct PretrainTests {
  static let settings = [
    "--config", "config.json", "--vocab-size", "400", "--max-steps", "40", "--batch-size", "3", "--grad-accum", "2",
    "--stride", "20", "--save-every", "6", "--eval-every", "10", "--dropout", "0.1", "--lr", "3e-3", "--quiet",
  ]

  private func withCorpus(_ body: (inout SFTBinary) throws -> Void) throws {
    try withSFT { sft in
      let records = try #require(try parseJSONFile(fixturesFolder + "/records.json").array)
      let texts = records.prefix(200).map { ($0["instruction"]?.string ?? "") + "\n" + ($0["output"]?.string ?? "") }
      try sft.write(texts.prefix(100).joined(separator: "\n<|endoftext|>\n"), to: "one.txt")
      try sft.write(texts.suffix(100).joined(separator: "\n\n"), to: "two.txt")
      try sft.write(
        """
        {"model_type": "gpt2", "vocab_size": 1, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3,
         "resid_pdrop": 0.5}
        """, to: "config.json")
      try body(&sft)
    }
  }

  @Test func aModelComesOut() throws {
    try withCorpus { sft in
      let report = try sft.succeed(
        "pretrain", "one.txt", "two.txt", "--config", "config.json", "--vocab-size", "400", "--max-steps", "60",
        "--lr", "5e-3", "--run", "a", "--json")
      #expect(try report.json()["best_step"]?.int == 60)
      #expect(report.errors.contains(" in 101 documents; "))
      let metrics = try lines(of: sft.path(".sft/runs/a/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let losses = metrics.filter { $0["kind"]?.string == "train" }.compactMap { $0["loss"]?.double }
      // Fresh weights know nothing, so the first loss is about the vocabulary's logarithm.
      #expect(abs(losses[0] - log(400)) < 0.1 && losses[59] < losses[0] - 0.6)
      #expect(metrics.count { $0["kind"]?.string == "sample" && $0["text"]?.string != nil } == 5)
      for line in metrics where line["kind"]?.string == "train" {
        // Of a window's 33 tokens the first is nobody's target; the text's last window is shorter.
        let (tokens, supervised) = (try #require(line["tokens"]?.int), try #require(line["supervised_tokens"]?.int))
        #expect(supervised == tokens - 8 && tokens > 7 * 33 && tokens <= 8 * 33)
      }
      let config = try parseJSONFile(sft.path(".sft/runs/a/best/config.json"))
      #expect(config["vocab_size"]?.int == 400 && config["eos_token_id"]?.int == 0)
      let text = try sft.succeed(
        "generate", "--prompt", "The", "--max-new-tokens", "8", "--json"
      ).json()
      #expect(text["token_ids"]?.array?.isEmpty == false)
      #expect(
        try sft.succeed(
          "generate", "--model", ".sft/runs/a/best", "--prompt", "The", "--max-new-tokens", "8", "--json"
        ).json() == text)
      let listed = try sft.succeed("runs", "--json").json().array?.first
      #expect(listed?["state"]?.string == "finished" && listed?["method"]?.string == "pretrain")
      #expect(listed?["data"]?.array?.compactMap { $0.string.map(lastPathComponent) } == ["one.txt", "two.txt"])
      try sft.succeed("report", "a")
      #expect(try sft.read(".sft/runs/a/report.html").contains("documents"))
      try sft.succeed("export", "--to", "out", "--quiet")
      #expect(
        try readFile(sft.path("out/model.safetensors")) == readFile(sft.path(".sft/runs/a/best/model.safetensors")))
      try sft.write("Q?\n", to: "questions.txt")
      try sft.fail(
        64,
        "run a was trained from scratch: it has no base to be compared with. Compare it with another model by --model-b.",
        "compare", "--questions", "questions.txt")
      try sft.fail(
        64, "run a was started by `sft pretrain`. Go on with it with `sft pretrain --run a --resume`.", "train",
        "--resume")
    }
  }

  @Test func killedRunsGoOnToTheSameBits() throws {
    try withCorpus { sft in
      let command = ["pretrain", "one.txt", "two.txt"] + Self.settings
      #expect(try sft.run(command + ["--run", "whole"]).code == 0)
      var kills = 0
      for attempt in 0..<20 where try !fileExists(sft.path(".sft/runs/killed/finished.json")) {
        let running = try sft.start(
          (attempt == 0 ? command : ["pretrain", "--quiet", "--resume"]) + ["--run", "killed"])
        let before = steps(sft)
        while running.process.isRunning, kills < 3, steps(sft) < before + 9 { usleep(1000) }
        if running.process.isRunning, kills < 3 {
          kill(running.process.processIdentifier, SIGKILL)
          kills += 1
        }
        _ = try running.finish()
      }
      #expect(kills >= 2)
      for file in ["model/model.safetensors", "best/model.safetensors", "checkpoints/step-40/optimizer.safetensors"] {
        #expect(
          try readFile(sft.path(".sft/runs/whole/" + file)) == readFile(sft.path(".sft/runs/killed/" + file)), "\(file)"
        )
      }
      #expect(try sft.metrics("whole") == sft.metrics("killed"))
      #expect(try sft.leftovers() == [])
      try sft.fail(
        64,
        "run killed cannot go on with changed settings: the files or the model's flags, --seed 7 (it was 42). Leave "
          + "them out, or start a new run.", "pretrain", "one.txt", "--config", "config.json", "--vocab-size", "400",
        "--run", "killed", "--resume", "--seed", "7")
    }
  }

  private func steps(_ sft: SFTBinary) -> Int {
    ((try? readFile(sft.path(".sft/runs/killed/metrics.jsonl"))) ?? []).count { $0 == 10 }
  }

  @Test func badInputIsRefused() throws {
    try withCorpus { sft in
      func refuse(_ code: Int32, _ message: String, _ file: String, _ options: String...) throws {
        let outcome = try sft.run(["pretrain", file, "--config", "config.json", "--quiet"] + options)
        #expect(outcome.errors == "error: " + message + "\n")
        #expect(outcome.code == code)
      }
      for name in ["empty.txt", "short.txt"] { try sft.write(name == "empty.txt" ? "" : "hi", to: name) }
      try writeAtomically(Array("fine\nbad ".utf8) + [0xc3, 0x28, 0x0a], to: sft.path("bad.txt"))
      try refuse(65, "empty.txt: is empty: there is no text to train on.", "empty.txt", "--vocab-size", "300")
      try refuse(
        65,
        "the text has 3 tokens to train on, fewer than one window of 33. Give more text, a smaller --val, or a "
          + "configuration with a shorter context.", "short.txt", "--vocab-size", "300")
      try refuse(65, "bad.txt:2: is not valid UTF-8. Convert it to UTF-8.", "bad.txt", "--vocab-size", "300")
      try refuse(66, "none.txt: there is no such file.", "none.txt", "--vocab-size", "300")
      try refuse(
        64, "a vocabulary of 100 is too small: the 256 bytes and <|endoftext|> alone are 257.", "one.txt",
        "--vocab-size", "100")
      try refuse(
        65, "config.json: 'vocab_size' is 1, too small for the tokenizer's 512 tokens.", "one.txt", "--tokenizer",
        SFTBinary.model)
      try refuse(
        64, "--stride is 33, expected 1 to the model's context of 32.", "one.txt", "--vocab-size", "300", "--stride",
        "33")
      try sft.write(
        #"{"model_type": "gpt2", "vocab_size": 1, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 5}"#,
        to: "config.json")
      try refuse(
        65, "config.json: 'n_head' is 5, which does not divide n_embd 24.", "one.txt", "--vocab-size", "300")
      #expect(try !fileExists(sft.path(".sft/runs")))
      try sft.fail(
        73, "taken: is there already, and is not an empty folder.", "tokenizer", "train", "one.txt", "--vocab-size",
        "300", "--to", takenFolder(sft))
      let trained = try sft.succeed("tokenizer", "train", "one.txt", "--vocab-size", "300", "--to", "new", "--json")
      #expect(try trained.json()["merges"]?.int == 43)
      try sft.write(#"{"text": "The cat"}"# + "\n", to: "texts.jsonl")
      #expect(try sft.succeed("tokenize", "texts.jsonl", "--model", "new").jsonLines().count == 1)
    }
  }

  private func takenFolder(_ sft: SFTBinary) throws -> String {
    try createDirectory(sft.path("taken"))
    try sft.write("x", to: "taken/file")
    return "taken"
  }
}
