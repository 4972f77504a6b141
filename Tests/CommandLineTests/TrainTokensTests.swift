import Files
import JSON
import TestSupport
import Testing
import sft

/// A base that never learnt a chat template's tokens, from its data to what other tools load.
@Suite struct TrainTokensTests {
  /// GPT-2's fixture with the chat fixture's tokenizer, of which only `<|endoftext|>` is known to the base, and no chat
  /// template.
  private func model(_ sft: SFTBinary) throws -> String {
    let folder = sft.path("model")
    try createDirectory(folder)
    try writeAtomically(try readFile(SFTBinary.model + "/model.safetensors"), to: folder + "/model.safetensors")
    try writeAtomically(try readFile(fixturesFolder + "/chat/tokenizer.json"), to: folder + "/tokenizer.json")
    let configuration = String(decoding: try readFile(SFTBinary.model + "/config.json"), as: UTF8.self)
    try writeAtomically(
      configuration.replacing("\"eos_token_id\": 0", with: "\"eos_token_id\": 360"), to: folder + "/config.json")
    try writeAtomically(
      #"{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "chat_template": null}"#,
      to: folder + "/tokenizer_config.json")
    return folder
  }

  private func writeRecords(_ sft: SFTBinary) throws {
    let pairs = [("apple?", "sagwa"), ("pear?", "bae"), ("plum?", "jadu"), ("grape?", "podo")]
    let lines = pairs.map { question, answer in
      #"{"messages": [{"role": "user", "content": "\#(question)"}, {"role": "assistant", "content": "\#(answer)"}]}"#
    }
    try sft.write(lines.joined(separator: "\n"), to: "d.jsonl")
  }

  private func prepared(_ sft: SFTBinary) throws -> (model: String, warnings: String) {
    let model = try model(sft)
    try writeRecords(sft)
    let outcome = try sft.succeed(
      "prepare", "d.jsonl", "--model", model, "--template", "chatml", "--val", "0", "--max-length", "64")
    return (model, outcome.errors)
  }

  private static let ids = [361, 362]

  @Test func tokensOfTheTemplateAreTrainedAndGoIntoEveryExport() throws {
    try withSFT { sft in
      let (model, warnings) = try prepared(sft)
      let words =
        "the template chatml writes \"<|im_start|>\" and \"<|im_end|>\", which this model may never have learnt"
      #expect(warnings.contains("warning: " + words))
      let train = ["train", "--lora-r", "2", "--lr", "1e-2", "--max-steps", "3"]
      #expect(try sft.run(train + ["--run", "without"]).errors.contains("warning     " + words))
      let trained = try sft.run(train + ["--run", "with", "--train-tokens"])
      #expect(trained.code == 0 && !trained.errors.contains("warning"))
      #expect(trained.errors.contains("on all-linear, rows of 2 tokens"))

      let folder = sft.path(".sft/runs/with/adapter")
      let configuration = try parseJSONFile(folder + "/adapter_config.json")
      #expect(configuration["trainable_token_indices"]?.array?.compactMap(\.int) == Self.ids)
      let report = try sft.succeed("inspect", "adapter", folder, "--json").json()
      #expect(report["tensors"]?.array?.contains { $0["name"]?.string == Self.rows } == true)
      #expect(try sft.succeed("inspect", "adapter", folder).output.contains("rows of 2 tokens"))
      // The run's own answers end where the template's turns do.
      #expect(try sft.succeed("generate", "--run", "with", "--instruction", "plum?", "--max-new-tokens", "4").code == 0)

      let loss = try loss(sft, "--run", "with")
      try sft.succeed("export", "--run", "with", "--to", "peft")
      try checkEnds(sft.path("peft"))
      #expect(try self.loss(sft, "--adapter", "peft", "--model", model, "--template", "chatml") == loss)
      try sft.succeed("export", "--run", "with", "--format", "merged", "--to", "merged")
      try checkEnds(sft.path("merged"))
      let config = try parseJSONFile(sft.path("merged/config.json"))
      #expect(config["tie_word_embeddings"]?.bool == true && config["eos_token_id"]?.int == 362)
      // With one, transformers would look for a whole model beside the adapter.
      #expect(try !fileExists(sft.path("peft/config.json")))
      // With the template and the end token in its own files.
      let merged = try self.loss(sft, "--model", "merged", "--template", "model")
      #expect(relativeError(merged, loss) < 1e-5)
    }
  }

  private static let rows = "base_model.model.transformer.wte.token_adapter.trainable_tokens_delta"

  private func loss(_ sft: SFTBinary, _ arguments: String...) throws -> Double {
    let outcome = try sft.run(["eval", "--data", "d.jsonl", "--json"] + arguments)
    #expect(outcome.code == 0, "\(arguments): \(outcome.errors)")
    return try outcome.json()["loss"]?.double ?? .nan
  }

  /// The new end token, the old one beside it, and the template.
  private func checkEnds(_ folder: String) throws {
    let tokenizer = try parseJSONFile(folder + "/tokenizer_config.json")
    #expect(tokenizer["eos_token"]?.string == "<|im_end|>" && tokenizer["chat_template"] == nil)
    let generation = try parseJSONFile(folder + "/generation_config.json")
    #expect(generation["eos_token_id"]?.array?.compactMap(\.int) == [362, 360])
    #expect(
      try readFile(folder + "/chat_template.jinja")
        == readFile(parentPath(parentPath(fixturesFolder)) + "/prompts/chatml.jinja"))
  }

  /// Embedding and head are one matrix in the base, and two in what is exported.
  @Test func modulesAreTrainedWhole() throws {
    try withSFT { sft in
      let (model, _) = try prepared(sft)
      let train = ["train", "--lora-r", "2", "--lr", "1e-2", "--max-steps", "4", "--modules-to-save", "wte,lm_head"]
      let whole = try sft.run(train + ["--run", "whole"])
      #expect(whole.code == 0 && whole.errors.contains("are one matrix in this model"))
      #expect(!whole.errors.contains("may never have learnt"))
      let loss = try loss(sft, "--run", "whole")
      try sft.succeed("export", "--run", "whole", "--format", "merged", "--to", "merged")
      #expect(try parseJSONFile(sft.path("merged/config.json"))["tie_word_embeddings"]?.bool == false)
      #expect(relativeError(try self.loss(sft, "--model", "merged", "--template", "model"), loss) < 1e-5)
      try sft.succeed("export", "--run", "whole", "--to", "peft")
      #expect(try self.loss(sft, "--adapter", "peft", "--model", model, "--template", "chatml") == loss)
      // Another run goes on from it, and has what it trains.
      let next = try sft.run("train", "--init-adapter", "peft", "--run", "next", "--max-steps", "2", "--lr", "1e-3")
      #expect(next.code == 0 && next.errors.contains("all of wte, all of lm_head"))
      try sft.fail(
        64,
        "\(sft.path("peft").replacing(sft.folder + "/", with: "")): --modules-to-save is lm_head, but the adapter to "
          + "start from has wte,lm_head. Leave --modules-to-save out: an adapter brings its own.", "train",
        "--init-adapter", "peft", "--modules-to-save", "lm_head", "--quiet")
    }
  }

  @Test func resumingKeepsTheBitsAndRefusesOtherTokens() throws {
    try withSFT { sft in
      _ = try prepared(sft)
      let train = [
        "train", "--lora-r", "2", "--lora-layers", "2", "--max-steps", "4", "--save-every", "2", "--qlora",
        "--train-tokens",
      ]
      #expect(try sft.run(train + ["--run", "a"]).code == 0)
      #expect(try sft.run(train + ["--run", "b"]).code == 0)
      try removeTree(sft.path(".sft/runs/b/checkpoints/step-4"))
      try removeTree(sft.path(".sft/runs/b/adapter"))
      for name in try directoryEntries(sft.path(".sft/runs/b")) where name.contains("finished") {
        try removeTree(sft.path(".sft/runs/b/" + name))
      }
      let other = try sft.run("train", "--run", "b", "--resume", "--train-tokens=<|im_end|>")
      #expect(other.code == 64 && other.errors.contains("--train-tokens [\"<|im_end|>\"] (it was [\"auto\"])"))
      #expect(try sft.run("train", "--run", "b", "--resume", "--train-tokens").code == 0)
      let weights = "/adapter/adapter_model.safetensors"
      #expect(try readFile(sft.path(".sft/runs/a" + weights)) == readFile(sft.path(".sft/runs/b" + weights)))
      #expect(try sft.metrics("a") == sft.metrics("b"))
      // Of four layers' stored outputs nothing is of use where the embedding is trained.
      #expect(try sft.succeed("lr-find", "--lora-r", "2", "--train-tokens", "--steps", "10").code == 0)
    }
  }

  @Test func whatCannotBeTrainedIsRefused() throws {
    try withSFT { sft in
      _ = try prepared(sft)
      let full = try sft.run("train", "--full", "--train-tokens")
      #expect(full.code == 64 && full.errors.contains("--train-tokens does not go with --full"))
      try sft.fail(
        64,
        "\"<|nobody|>\" is no token of the vocabulary: it is cut into 10. Rows can be trained, not added: name tokens "
          + "of the tokenizer, or a spare row in its files.", "train", "--train-tokens", "auto,<|nobody|>", "--quiet")
      try sft.fail(
        64,
        "\"c_fc\" names transformer.h.0.mlp.c_fc, which is not trained whole here. The modules that can be trained "
          + "whole are transformer.wte, lm_head, transformer.ln_f.", "train", "--modules-to-save", "c_fc", "--quiet")
      try sft.fail(
        64, "rows of transformer.wte are to be trained, and all of it. Leave one of the two out.", "train",
        "--train-tokens", "--modules-to-save", "wte", "--quiet")
      try sft.prepare()
      try sft.fail(
        64,
        "the data were prepared with the template alpaca, which writes no tokens of its own to train. Prepare the "
          + "data with a chat template, or name the tokens: --train-tokens TOKEN,TOKEN.", "train", "--train-tokens",
        "--quiet")
      // Nothing is left of runs that never began.
      #expect(try sft.run("runs").output.contains("run-") == false)
    }
  }

  /// The vocabulary of the reference model has neither `<|im_start|>` nor `<|im_end|>`.
  @Test func marksThatAreNoTokensAreRefused() throws {
    try withSFT { sft in
      try writeRecords(sft)
      try sft.succeed(
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--template", "chatml", "--val", "0", "--quiet")
      let refused = try sft.run("train", "--train-tokens", "--quiet")
      #expect(refused.code == 64)
      #expect(refused.errors.contains("the vocabulary has no token that the template chatml ends a turn with"))
    }
  }

  @Test func theBareOptionIsItsUsualValue() {
    func arguments(_ typed: String...) -> [String] { TypedArguments(typed).arguments }
    #expect(arguments("train", "--train-tokens") == ["train", "--train-tokens", "auto"])
    #expect(arguments("train", "--train-tokens", "--qlora") == ["train", "--train-tokens", "auto", "--qlora"])
    #expect(arguments("train", "--train-tokens", "<s>") == ["train", "--train-tokens", "<s>"])
    #expect(arguments("train", "--train-tokens=<s>", "--qlora") == ["train", "--train-tokens=<s>", "--qlora"])
  }
}
