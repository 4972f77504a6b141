import Files
import JSON
import TestSupport
import Testing

/// The model inside the program, whichever it is: nothing here knows what is in it.
@Suite struct EmbeddedTests {
  private static let note = "No --model is given, and nothing in .sft names one: the embedded model is used."
  /// What is embedded.
  private static let model = parentPath(parentPath(fixturesFolder)) + "/Sources/CEmbedded/model"

  /// The folder of the only artifact that holds the model.
  private func artifact(_ sft: SFTBinary) throws -> String {
    let folder = sft.path(".sft/artifacts/embedded")
    let names = try directoryEntries(folder)
    try #require(names.count == 1, "\(names)")
    return folder + "/" + names[0]
  }

  private func flipByte(_ path: String) throws {
    var bytes = try readFile(path)
    bytes[bytes.count / 2] ^= 0xff
    try writeAtomically(bytes, to: path)
  }

  /// Text of a few greedy tokens.
  private func answer(_ sft: SFTBinary, _ options: String...) throws -> Outcome {
    let outcome = try sft.run(["generate", "--prompt", "The", "--max-new-tokens", "4", "--json"] + options)
    #expect(outcome.code == 0, "\(outcome.errors)")
    return outcome
  }

  @Test func theUsualWayNeedsNoModel() throws {
    try withSFT { sft in
      let prepared = try sft.succeed("prepare", SFTBinary.records, "--val", "0", "--json")
      let again = try sft.succeed("prepare", SFTBinary.records, "--val", "0", "--quiet")
      #expect(again.output.hasSuffix("\nmodel       embedded, as no --model was given\n"))
      #expect(try prepared.json()["summary"]?["model"]?.string == "embedded")
      try sft.succeed("train", "--run", "a", "--max-steps", "2", "--lr", "1e-2", "--quiet")
      let configuration = try parseJSONFile(sft.path(".sft/runs/a/config.json"))
      #expect(configuration["model"]?.string == "embedded")
      let adapter = try parseJSONFile(sft.path(".sft/runs/a/adapter/adapter_config.json"))
      #expect(adapter["base_model_name_or_path"]?.string == "embedded")
      let entries = try sft.succeed("cache", "ls", "--json").json().array ?? []
      let entry = entries.first { $0["stage"]?.string == "embedded" }
      #expect(entry?["referenced_by"]?.array?.compactMap(\.string) == ["run a"])
      // It is found again, even where the workspace's copy is gone.
      try removeTree(sft.path(".sft/artifacts/embedded"))
      try removeTree(sft.path(".sft/runs/a/finished.json"))
      try sft.succeed("train", "--run", "a", "--resume", "--model", "embedded", "--quiet")
      #expect(try !answer(sft).errors.contains("No --model"))
      #expect(try sft.succeed("inspect", "data", "--limit", "1").output.contains("<|endoftext|>"))
      try sft.write("a question\n", to: "q.txt")
      let compared = try sft.succeed("compare", "--questions", "q.txt", "--max-new-tokens", "2", "--json", "--quiet")
      #expect(try compared.json()["settings"]?["model"]?.string == "embedded")
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func anEmptyWorkspaceUsesIt() throws {
    for arguments in [
      ["generate", "--instruction", "x", "--max-new-tokens", "2"], ["eval", "--data", SFTBinary.records],
      ["tokenize", "t.jsonl"], ["quantize", "--report"], ["export", "--format", "model", "--to", "out"],
      ["compare", "--questions", SFTBinary.records, "--model-b", "embedded", "--max-new-tokens", "2"],
    ] {
      try withSFT { sft in
        try sft.write("{\"text\":\"a text\"}\n", to: "t.jsonl")
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 0, "\(arguments): \(outcome.errors)")
        #expect(outcome.errors.contains(Self.note + "\n"), "\(arguments): \(outcome.errors)")
        try? removeTree(sft.path("out"))
        #expect(try sft.run(arguments + ["--quiet"]).errors.isEmpty)
      }
    }
  }

  /// A workspace without a run is more likely the wrong one than a wish for the base.
  @Test func theBaseIsNotExportedForWantOfAnother() throws {
    try withSFT { sft in
      let outcome = try sft.run("export", "--to", "out")
      #expect(outcome.code == 66)
      #expect(outcome.errors.contains("there is nothing to export. Train a run first, or give --adapter or --model."))
      #expect(try !fileExists(sft.path("out")))
    }
  }

  @Test func aDamagedCopyIsMadeAgain() throws {
    try withSFT { sft in
      let first = try answer(sft)
      let folder = try artifact(sft)
      for name in ["model.safetensors", "tokenizer.json"] {
        try flipByte(folder + "/" + name)
        let again = try answer(sft)
        #expect(again.errors.contains("is damaged: \(name) differs from its checksum."))
        #expect(again.output == first.output)
      }
      try removeTree(folder + "/config.json")
      #expect(try answer(sft).output == first.output)
      #expect(try artifact(sft) == folder)
      #expect(try directoryEntries(sft.path(".sft/set-aside")).count == 3)
      try flipByte(folder + "/merges.txt")
      #expect(try sft.run("cache", "verify").code == 65)
      #expect(try answer(sft).output == first.output)
      #expect(try sft.succeed("cache", "verify").output.hasPrefix("sound  "))
    }
  }

  @Test func processesShareACopy() throws {
    try withSFT { sft in
      let processes = try (0..<4).map { _ in
        try sft.start(["generate", "--prompt", "The", "--max-new-tokens", "4", "--quiet"])
      }
      let outcomes = try processes.map { try $0.finish() }
      #expect(outcomes.allSatisfy { $0.code == 0 })
      #expect(Set(outcomes.map(\.output)).count == 1)
      _ = try artifact(sft)
      #expect(try sft.leftovers() == [])
      // Unused, it goes like any other artifact, and comes back.
      #expect(try sft.succeed("cache", "gc", "--older-than", "0", "--json").json().array?.count == 1)
      #expect(try sft.succeed("generate", "--prompt", "The", "--max-new-tokens", "4").output == outcomes[0].output)
    }
  }

  @Test func exportGivesTheFolderAsItIs() throws {
    try withSFT { sft in
      let report = try sft.succeed("export", "--model", "embedded", "--to", "base", "--json", "--quiet").json()
      #expect(report["format"]?.string == "model")
      #expect(report["model"]?.string == "embedded")
      let names = try directoryEntries(sft.path("base"))
      #expect(names.contains("model.safetensors") && names.contains("config.json") && names.contains("tokenizer.json"))
      for name in names {
        #expect(try readFile(sft.path("base/" + name)) == readFile(Self.model + "/" + name), "\(name)")
      }
      let inside = try sft.succeed("inspect", "model", "embedded", "--json").json()
      let outside = try sft.succeed("inspect", "model", "base", "--json").json()
      #expect(inside["digest"] == outside["digest"])
      func loss(_ model: String) throws -> JSONValue? {
        try sft.succeed("eval", "--model", model, "--data", SFTBinary.records, "--json", "--quiet").json()["loss"]
      }
      let expected = try loss("embedded")
      #expect(try loss("base") == expected)
      // In full precision and one file the values are the same.
      try sft.succeed("export", "--model", "embedded", "--format", "merged", "--to", "merged", "--quiet")
      #expect(try loss("merged") == expected)
      try sft.fail(
        73, "base: the folder is not empty. Give another --to, or replace an earlier export with --overwrite.",
        "export", "--model", "embedded", "--to", "base")
      try sft.succeed("quantize", "--model", "embedded", "--to", "nf4", "--quiet")
      try sft.succeed("export", "--model", "nf4", "--to", "nf4-copy", "--quiet")
      for name in try directoryEntries(sft.path("nf4")) {
        #expect(try readFile(sft.path("nf4-copy/" + name)) == readFile(sft.path("nf4/" + name)), "\(name)")
      }
    }
  }

  @Test func anAdaptersBaseIsFoundByItsName() throws {
    try withSFT { sft in
      try sft.succeed("prepare", SFTBinary.records, "--val", "0", "--quiet")
      try sft.succeed("train", "--max-steps", "2", "--lr", "1e-2", "--quiet")
      let export = try sft.succeed("export", "--format", "peft", "--to", "out")
      #expect(
        export.errors.hasSuffix(
          "The adapter's base is inside sft: `sft export --model embedded --to DIR` writes it as the folder that PEFT "
            + "puts the adapter on.\n"))
      try sft.succeed("export", "--format", "model", "--to", "base", "--quiet")
      #expect(try readFile(sft.path("base/config.json")) == readFile(Self.model + "/config.json"))
      let tuned = try sft.succeed("eval", "--data", SFTBinary.records, "--json", "--quiet")
      let elsewhere = try sft.succeed(
        "eval", "--data", SFTBinary.records, "--adapter", "out", "--workspace", "other", "--json")
      #expect(elsewhere.output == tuned.output)
      #expect(!elsewhere.errors.contains("No --model"))
      let text = try sft.read("out/adapter_config.json")
      try sft.write(text.replacing("\"embedded\"", with: "null"), to: "out/adapter_config.json")
      try sft.fail(
        64, "out: the adapter does not say what its base is. Give it with --model.", "generate", "--prompt", "a",
        "--adapter", "out", "--workspace", "other")
      try sft.write(text.replacing("\"embedded\"", with: "\"/gone/base\""), to: "out/adapter_config.json")
      try sft.fail(
        66,
        "cannot find the model: there is no folder '/gone/base', and it is not a name such as gpt2 or org/name. Give "
          + "--model a folder with config.json and model.safetensors: where it is now, if it was moved.", "generate",
        "--prompt", "a", "--adapter", "out", "--workspace", "other")
    }
  }

  /// As with a program that has another model inside than the one that made the run.
  @Test func anotherBuildsModelIsRefused() throws {
    try withSFT { sft in
      try sft.succeed("prepare", SFTBinary.records, "--val", "0", "--quiet")
      try sft.succeed("train", "--run", "a", "--max-steps", "2", "--quiet")
      let path = ".sft/runs/a/config.json"
      let configuration = try parseJSONFile(sft.path(path))
      let digest = try #require(configuration["baseDigest"]?.string)
      let other = String(digest.reversed())
      try sft.rewriteConfiguration("a") { $0.replacing(digest, with: other) }
      try removeTree(sft.path(".sft/runs/a/finished.json"))
      let here = String(try artifact(sft).dropFirst(sft.folder.count + 1))
      try sft.fail(
        65, "\(here): the model is not the one that run a was started on.", "train", "--run", "a", "--resume")
      try sft.fail(
        65,
        "\(here): the model embedded is not the one that run a was trained on. Give the model to use with --model.",
        "generate", "--prompt", "a", "--base")
    }
  }

  @Test func aFolderOfThatNameIsReachedByItsPath() throws {
    try withSFT { sft in
      try createDirectory(sft.path("embedded"))
      for name in try directoryEntries(SFTBinary.model) {
        try writeAtomically(try readFile(SFTBinary.model + "/" + name), to: sft.path("embedded/" + name))
      }
      func digest(_ model: String) throws -> String? {
        try sft.succeed("inspect", "model", model, "--json").json()["digest"]?.string
      }
      #expect(try digest("./embedded") == digest(SFTBinary.model))
      #expect(try digest("embedded") != digest(SFTBinary.model))
      let report = try sft.succeed(
        "prepare", SFTBinary.records, "--model", "./embedded", "--val", "0", "--json", "--quiet")
      #expect(try report.json()["summary"]?["model"]?.string == sft.path("embedded"))
      let inside = try sft.succeed("prepare", SFTBinary.records, "--model", "embedded", "--val", "0", "--json")
      #expect(try inside.json()["summary"]?["model"]?.string == "embedded")
    }
  }

  @Test func wrongInputIsRefused() throws {
    try withSFT { sft in
      try sft.fail(
        66,
        "cannot find the model: there is no folder './embedded', and it is not a name such as gpt2 or org/name. Give "
          + "--model a folder with config.json and model.safetensors: where it is now, if it was moved.", "inspect",
        "model", "./embedded")
      let mixed = try sft.run("export", "--format", "model", "--adapter", "x", "--to", "out")
      #expect(mixed.code == 64)
      #expect(mixed.errors.contains("--format model writes the model alone"))
      #expect(try directoryEntries(sft.folder) == [])
      try sft.write("in the way", to: ".sft")
      let blocked = try sft.run("generate", "--prompt", "a")
      #expect(blocked.code == 73, "\(blocked.errors)")
      #expect(blocked.errors.split(separator: "\n").count == 1)
    }
  }
}
