import Files
import JSON
import Testing
import TestSupport

/// Options in a file: `--config`, `--print-config`, and the one in a run's folder.
@Suite struct SettingsTests {
  private static let train = [
    "--lora-r", "2", "--max-steps", "2", "--batch-size", "2", "--betas", "0.9,0.99", "--no-shuffle",
  ]

  private func withData(_ body: (SFTBinary) throws -> Void) throws {
    try withSFT { sft in
      _ = try sft.succeed(
        "prepare", SFTBinary.records, "--model", SFTBinary.model, "--max-length", "64", "--overlong", "drop")
      try body(sft)
    }
  }

  @Test func aFileSaysWhatFlagsSay() throws {
    try withData { sft in
      #expect(try sft.run(["train", "--run", "flags", "--lr", "1e-3"] + Self.train).code == 0)
      try sft.write(
        "# as people write it\nlora_r: 2\nmax-steps: 2\nbatch-size: 2\nbetas: [0.9, 0.99]\nshuffle: false\nlr: 5\nqlora: false\n",
        to: "run.yaml")
      // What is typed wins.
      _ = try sft.succeed("train", "--run", "file", "--config", "run.yaml", "--lr", "1e-3")
      let adapter = { (run: String) in try readFile(sft.path(".sft/runs/\(run)/adapter/adapter_model.safetensors")) }
      #expect(try adapter("flags") == adapter("file"))
      // The run's own file trains it again; it says which data.
      let own = try sft.read(".sft/runs/file/settings.yaml")
      #expect(own.contains("\nlora-r: 2\n") && own.contains("\nlr: 0.001\n") && own.contains("\nno-shuffle: true\n"))
      #expect(!own.contains("run:") && own.contains("/.sft/artifacts/prepared/"))
      // From any folder.
      _ = try sft.succeed(
        "train", "--run", "again", "--config", sft.path(".sft/runs/file/settings.yaml"), "--workspace", sft.path(".sft")
      )
      #expect(try adapter("again") == adapter("file"))
    }
  }

  @Test func everyRunOfASweepHasItsOwnRate() throws {
    try withData { sft in
      #expect(try sft.run(["train", "--run", "s", "--lr", "1e-3,2e-3"] + Self.train).code == 0)
      for rate in ["1e-3", "2e-3"] {
        let own = try sft.read(".sft/runs/s-lr\(rate)/settings.yaml")
        #expect(own.contains("\nlr: 0.00\(rate.prefix(1))\n"))
      }
    }
  }

  @Test func whatWouldRunIsPrinted() throws {
    try withSFT { sft in
      try sft.write("lr: 1e-3\nquant_skip: [\"lm_head\", c_attn]\n", to: "a.yaml")
      let outcome = try sft.succeed("train", "--config", "a.yaml", "--seed", "3", "--print-config", "--qlora")
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(
        lines.starts(with: [
          "# sft train --config FILE", "lr: 1e-3", "quant-skip: \"lm_head,c_attn\"", "seed: 3", "qlora: true",
        ]))
      #expect(lines.contains { $0.hasPrefix("# epochs:  ") && $0.contains("(default: ") })
      #expect(!lines.contains { $0.hasPrefix("# lr:") || $0.contains("print-config") })
      // It can be given again, and nothing was done.
      try sft.write(outcome.output, to: "b.yaml")
      #expect(try sft.succeed("train", "--config", "b.yaml", "--print-config").output == outcome.output)
      #expect(try !fileExists(sft.path(".sft")))
      // What cannot be parsed is not printed.
      #expect(try sft.run(["train", "--print-config", "--lr", "x"]).code == 64)
    }
  }

  @Test func whatIsTypedTakesThePlaceOfWhatItExcludes() throws {
    try withSFT { sft in
      try sft.write("epochs: 2\nqlora: true\nquant: fp4\nlora-r: 8\nbatch-size: 4\n", to: "a.yaml")
      func said(_ typed: String...) throws -> [Substring] {
        let outcome = try sft.run(["train", "--config", "a.yaml", "--print-config"] + typed)
        try #require(outcome.code == 0, "\(outcome.errors)")
        return outcome.output.split(separator: "\n").filter { !$0.hasPrefix("#") }
      }
      #expect(
        try said("--max-steps", "3") == ["qlora: true", "quant: fp4", "lora-r: 8", "batch-size: 4", "max-steps: 3"])
      #expect(try said("--full", "--lr", "1", "--lr", "2") == ["epochs: 2", "batch-size: 4", "full: true", "lr: 2"])
      #expect(try said("--no-qlora") == ["epochs: 2", "lora-r: 8", "batch-size: 4", "no-qlora: true"])
      #expect(try sft.run(["train", "--config"]).code == 64)
    }
  }

  @Test func otherVerbsTakeFilesToo() throws {
    try withSFT { sft in
      try sft.write(
        "files: [\(SFTBinary.records)]\nmodel: \(SFTBinary.model)\nmax-length: 64\noverlong: drop\nval: 0.25\n",
        to: "p.yaml")
      let summary = try sft.succeed("prepare", "--config", "p.yaml").output
      #expect(summary.contains("maximum length 64"))
      try sft.write("questions: q.txt\nmax-new-tokens: 2\n", to: "c.yaml")
      let compared = try sft.succeed("compare", "--config", "c.yaml", "--top-k", "3", "--print-config").output
      #expect(
        compared.hasPrefix("# sft compare --config FILE\nquestions: q.txt\nmax-new-tokens: 2\ntop-k: 3\n"),
        "\(compared)")
      try sft.write("vocab-size: 300\nfiles: text.txt\n", to: "t.yaml")
      let shown = try sft.succeed("pretrain", "--settings", "t.yaml", "--config", "m.json", "--print-config").output
      #expect(
        shown.hasPrefix("# sft pretrain --settings FILE\nvocab-size: 300\nfiles: text.txt\nconfig: m.json\n"),
        "\(shown)")
    }
  }

  static let bad: [(text: String, code: Int32, message: String)] = [
    ("lorar: 8\n", 64, "bad.yaml:1: `sft train` has no option \"lorar\". The nearest is \"lora-r\"."),
    ("lr: 1\n\nwarmup: 3\nxyz: 1\n", 64, "bad.yaml:3: `sft train` has no option \"warmup\"."),
    ("config: x.yaml\n", 64, "bad.yaml:1: `sft train` has no option \"config\"."),
    ("lr: 1\nlr: 2\n", 65, "bad.yaml:1: is not valid YAML: \"lr\" stands in it twice."),
    ("lr: [1\n", 65, "bad.yaml:2: is not valid YAML: "), ("- a\n", 65, "bad.yaml:1: must hold names with values"),
    ("lr: {a: 1}\n", 64, "bad.yaml:1: \"lr\" must be a value or a list of them."),
    ("betas: [[1], 2]\n", 64, "bad.yaml:1: \"betas\" must be a list of single values."),
    ("qlora: 3\n", 64, "bad.yaml:1: \"qlora\" must be true or false."),
    ("epochs: many\n", 64, "The value 'many' is invalid for '--epochs"),
  ]

  @Test(arguments: bad) func whatIsWrongIsSaid(_ text: String, _ code: Int32, _ message: String) throws {
    try withSFT { sft in
      try sft.write(text, to: "bad.yaml")
      let outcome = try sft.run(["train", "--config", "bad.yaml"])
      #expect(outcome.code == code && outcome.errors.hasPrefix("error: " + message), "\(outcome.errors)")
      #expect(try sft.run(["train", "--config", "none.yaml"]).code == 66)
    }
  }
}
