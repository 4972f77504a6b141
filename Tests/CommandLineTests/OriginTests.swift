import Files
import JSON
import TestSupport
import Testing

/// What an export takes from the model that was trained: how weights are stored, `config.json`, and what is no part of the
/// language model.
@Suite struct OriginTests {
  private static let vision = [
    "model.multi_modal_projector.norm.weight", "model.vision_tower.vision_model.head.bias",
  ]

  /// A Gemma 3 with vision, its tokenizer that of the case.
  private static func writeMultimodal(_ sft: SFTBinary) throws -> String {
    let folder = sft.path("base")
    try createDirectory(folder)
    var model = RandomModel(.gemma3)
    (model.vocabulary, model.context, model.otherParts) = (520, 256, vision)
    try model.write(to: folder)
    let files = try ReferenceCase("gemma3-tiny").model
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      try writeAtomically(readFile(files + "/" + name), to: folder + "/" + name)
    }
    return folder
  }

  private static func inspect(_ sft: SFTBinary, _ folder: String) throws -> JSONValue {
    try sft.succeed("inspect", "model", folder, "--json").json()
  }

  private static func ignored(_ sft: SFTBinary, _ folder: String) throws -> [String] {
    (try inspect(sft, folder)["ignored"]?.array ?? []).compactMap(\.string)
  }

  private static func types(_ sft: SFTBinary, _ folder: String) throws -> Set<String> {
    Set((try inspect(sft, folder)["tensors"]?.array ?? []).compactMap { $0["dtype"]?.string })
  }

  @Test func aVisionTowerGoesWithTheModel() throws {
    try withSFT { sft in
      let base = try Self.writeMultimodal(sft)
      #expect(try Self.ignored(sft, base) == Self.vision)
      try sft.succeed("quantize", "--model", base, "--to", "nf4")
      #expect(try Self.ignored(sft, "nf4").filter { $0.contains("vision") || $0.contains("modal") } == Self.vision)
      let skipped = try parseJSONFile(sft.path("nf4/config.json"))["quantization_config"]?["llm_int8_skip_modules"]
      #expect(
        skipped?.array?.compactMap(\.string) == [
          "lm_head", "model.multi_modal_projector", "multi_modal_projector", "model.vision_tower", "vision_tower",
        ])

      try sft.succeed("prepare", SFTBinary.records, "--model", base, "--val", "0", "--quiet")
      try sft.succeed("train", "--full", "--max-steps", "1", "--run", "full", "--quiet")
      try sft.succeed("export", "--to", "whole")
      #expect(try Self.ignored(sft, "whole") == Self.vision)
      #expect(try readFile(sft.path("whole/config.json")) == readFile(base + "/config.json"))
      try sft.succeed("train", "--max-steps", "1", "--run", "lora", "--quiet")
      try sft.succeed("export", "--format", "merged", "--to", "merged")
      #expect(try Self.ignored(sft, "merged") == Self.vision)
    }
  }

  @Test func allWeightsAreWrittenAsTheBaseHasThem() throws {
    try withSFT { sft in
      let base = try ReferenceCase("llama3-bf16-tiny").model
      try sft.succeed("prepare", SFTBinary.records, "--model", base, "--val", "0", "--quiet")
      try sft.succeed("train", "--full", "--max-steps", "1", "--run", "a", "--quiet")
      #expect(try Self.types(sft, ".sft/runs/a/model") == ["F32"])
      try sft.succeed("export", "--to", "same")
      #expect(try Self.types(sft, "same") == ["BF16"])
      #expect(try readFile(sft.path("same/config.json")) == readFile(base + "/config.json"))
      try sft.succeed("export", "--to", "wide", "--dtype", "float32")
      #expect(try Self.types(sft, "wide") == ["F32"])
      #expect(try parseJSONFile(sft.path("wide/config.json"))["torch_dtype"]?.string == "float32")
      #expect(
        try Self.inspect(sft, "wide")["digest"] == Self.inspect(sft, ".sft/runs/a/model")["digest"])
    }
  }

  @Test func aBaseThatIsGoneIsNamed() throws {
    try withSFT { sft in
      try sft.copyModel(to: "base")
      try sft.succeed("prepare", SFTBinary.records, "--model", "base", "--val", "0", "--quiet")
      try sft.succeed("train", "--full", "--max-steps", "1", "--run", "a", "--quiet")
      try removeTree(sft.path("base"))
      let outcome = try sft.run("export", "--to", "out")
      #expect(outcome.code == 66)
      #expect(outcome.errors.contains("that run a started from is not there to say how weights are stored"))
    }
  }

  /// Nothing of a run's record is needed where all is named, so it need not be one that this version reads.
  @Test func aRunOfAnotherVersionIsNoneOfABasesBusiness() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--max-steps", "1", "--run", "a", "--quiet")
      try sft.write("{}", to: ".sft/runs/a/config.json")
      let generate = ["generate", "--prompt", "a", "--max-new-tokens", "2", "--base", "--model", SFTBinary.model]
      #expect(try sft.run(generate + ["--template", "alpaca"]).code == 0)
      #expect(try sft.run(generate).code == 65)
      #expect(
        try sft.run("inspect", "activations", "--text", "a", "--model", SFTBinary.model, "--base", "--quiet").code == 0)
    }
  }
}
