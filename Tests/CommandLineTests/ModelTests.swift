import Files
import Foundation
import JSON
import Testing
import TestSupport

/// `eval`, `generate`, `compare`, `export`, `inspect model` and `inspect adapter`.
@Suite struct ModelTests {
  @Test(arguments: ["gpt2-tiny", "gpt2-odd"])
  func lossesAreTheReference(_ name: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      func loss(_ options: String...) throws -> JSONValue {
        try sft.run(["eval", "--model", reference.model, "--data", reference.records, "--json", "--quiet"] + options)
          .json()
      }
      let base = try loss()
      #expect(abs((base["loss"]?.double ?? .nan) - reference.loss("base")) < 1e-4)
      #expect(base["supervised_tokens"]?.int == reference.expect["base"]?["tokens"]?.int)
      #expect(relativeError(base["perplexity"]?.double ?? .nan, exp(base["loss"]?.double ?? .nan)) < 1e-12)
      let tuned = try loss("--adapter", reference.adapter)
      #expect(abs((tuned["loss"]?.double ?? .nan) - reference.loss("adapter")) < 1e-4)
    }
  }

  @Test func evaluationHasItsOverlongPolicy() throws {
    try withSFT { sft in
      func evaluate(_ options: String...) throws -> Outcome {
        try sft.run(["eval", "--model", SFTBinary.model, "--data", SFTBinary.records, "--max-length", "90"] + options)
      }
      let refused = try evaluate()
      #expect(refused.code == 65)
      #expect(refused.errors.contains("records.jsonl:1: the record has 92 tokens, more than the maximum length of 90."))
      #expect(try evaluate("--overlong", "drop").errors.contains("records were too long and dropped"))
      #expect(try evaluate("--overlong", "truncate").errors.contains("prompts were truncated from their left"))
    }
  }

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"])
  func greedyContinuationsAreTheReference(_ name: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      let records = try lines(of: reference.records).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "records.jsonl") }
      }
      for (key, adapter) in [("base_greedy", [String]()), ("adapter_greedy", ["--adapter", reference.adapter])] {
        let expected = reference.expect[key]?.array ?? []
        try #require(!expected.isEmpty)
        for (record, ids) in zip(records, expected) {
          let ids = ids.array?.compactMap(\.int) ?? []
          let generation = try sft.run(
            [
              "generate", "--model", reference.model, "--instruction", record["instruction"]?.string ?? "", "--input",
              record["input"]?.string ?? "", "--max-new-tokens", "\(ids.count)", "--json", "--quiet",
            ] + adapter
          ).json()
          #expect(generation["token_ids"]?.array?.compactMap(\.int) == ids)
          #expect(generation["finish_reason"]?.string == "length")
        }
      }
    }
  }

  @Test func answersEndByStopStringsAndByEndOfText() throws {
    try withSFT { sft in
      func generate(_ options: String...) throws -> JSONValue {
        try sft.run(["generate", "--model", SFTBinary.model, "--prompt", "a", "--json", "--quiet"] + options).json()
      }
      let whole = try generate("--max-new-tokens", "12")
      let text = try #require(whole["text"]?.string)
      #expect(whole["finish_reason"]?.string == "length")
      #expect(whole["token_ids"]?.array?.count == 12)
      // A stop string that begins within the text ends it there.
      let middle = text.index(text.startIndex, offsetBy: text.count / 2)
      let stop = String(text[middle...].prefix(3))
      let stopped = try generate("--max-new-tokens", "12", "--stop", "@@@", "--stop", stop)
      #expect(stopped["finish_reason"]?.string == "stop")
      let end = try #require(text.range(of: stop)).lowerBound
      #expect(stopped["text"]?.string == String(text[..<end]))
      // The context is the other limit: one token of prompt leaves 255.
      #expect(try generate("--max-new-tokens", "1000")["token_ids"]?.array?.count == 255)

      // An answer and its end-of-text, learnt in a few updates.
      try sft.write(#"{"instruction":"a","output":"e"}"# + "\n", to: "d.jsonl")
      try sft.succeed("prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0", "--quiet")
      try sft.succeed("train", "--max-steps", "60", "--lr", "1e-2", "--batch-size", "1", "--quiet")
      let answer = try sft.succeed("generate", "--instruction", "a", "--json", "--quiet").json()
      #expect(answer["text"]?.string == "e")
      #expect(answer["finish_reason"]?.string == "stop")
      #expect(answer["token_ids"]?.array?.contains(.integer(0)) == false)
      #expect(answer["token_ids"]?.array?.count == 1)
    }
  }

  @Test func samplingIsSeeded() throws {
    try withSFT { sft in
      func sample(_ seed: String, _ options: String...) throws -> [Int] {
        let generation = try sft.run(
          [
            "generate", "--model", SFTBinary.model, "--prompt", "a", "--max-new-tokens", "16", "--temperature", "1",
            "--seed", seed, "--json", "--quiet",
          ] + options
        ).json()
        return generation["token_ids"]?.array?.compactMap(\.int) ?? []
      }
      let first = try sample("1")
      #expect(try sample("1") == first)
      #expect(try sample("2") != first)
      let greedy = try sft.succeed(
        "generate", "--model", SFTBinary.model, "--prompt", "a", "--max-new-tokens", "16", "--json", "--quiet"
      ).json()
      #expect(try sample("1", "--top-k", "1") == greedy["token_ids"]?.array?.compactMap(\.int))
      #expect(try sample("1", "--top-p", "1e-9") == greedy["token_ids"]?.array?.compactMap(\.int))
      let model = SFTBinary.model
      for (message, options) in [
        ("top-k must be at least 1", ["--top-k", "0"]), ("top-p must be above 0 and at most 1", ["--top-p", "2"]),
        ("the temperature must be 0 (greedy) or a positive number", ["--temperature", "nan"]),
        ("the number of new tokens must be at least 1", ["--max-new-tokens", "0"]),
        ("a stop string is empty", ["--stop", ""]),
      ] {
        let outcome = try sft.run(["generate", "--model", model, "--prompt", "a"] + options)
        #expect(outcome.errors == "error: \(message).\n")
        #expect(outcome.code == 64)
      }
    }
  }

  @Test func comparisonsAreShownAndKept() throws {
    try withSFT { sft in
      try sft.write(
        #"{"instruction":"one?","output":"1"}"# + "\n\n" + #"{"instruction":"two?","input":"x"}"# + "\n", to: "q.jsonl")
      let options = [
        "compare", "--model", SFTBinary.model, "--adapter", SFTBinary.tiny + "/adapter", "--questions", "q.jsonl",
        "--max-new-tokens", "6",
      ]
      let outcome = try sft.run(options + ["--json"])
      #expect(outcome.code == 0)
      let comparison = try outcome.json()
      let items = try #require(comparison["items"]?.array)
      #expect(items.map { $0["question"]?.string } == ["one?", "two?"])
      #expect(items.map { $0["reference"]?.string } == ["1", nil])
      #expect(comparison["summary"]?["questions"]?.int == 2)
      #expect(comparison["settings"]?["generation"]?["max_new_tokens"]?.int == 6)
      for (side, adapter) in [("base", [String]()), ("tuned", ["--adapter", SFTBinary.tiny + "/adapter"])] {
        let alone = try sft.run(
          [
            "generate", "--model", SFTBinary.model, "--instruction", "two?", "--input", "x", "--max-new-tokens", "6",
            "--json", "--quiet",
          ] + adapter
        ).json()
        #expect(items[1][side]?["text"]?.string == alone["text"]?.string)
        #expect(items[1][side]?["finish_reason"]?.string == alone["finish_reason"]?.string)
      }
      let ids = try directoryEntries(sft.path(".sft/compare"))
      try #require(ids.count == 1)
      let place = "written to .sft/compare/\(ids[0])"
      #expect(outcome.errors.hasSuffix("\(place)/compare.json\n\(place)/compare.html\n"))
      #expect(try parseJSONFile(sft.path(".sft/compare/\(ids[0])/compare.json")) == comparison)
      let shown = try sft.run(options + ["--out", "out folder"])
      #expect(
        shown.output.hasSuffix("written to out folder/compare.json\nwritten to out folder/compare.html\n"))
      #expect(try parseJSONFile(sft.path("out folder/compare.json")) == comparison)
      // What cannot be written is known before anything is generated.
      try sft.write("", to: "in-the-way")
      let refused = try sft.run(options + ["--out", "in-the-way"])
      #expect(refused.errors.hasSuffix("error: in-the-way: is in the way of a folder.\n"))
      #expect(!refused.errors.contains("questions"))
      #expect(refused.code == 73)
      try sft.fail(
        66, "there is nothing to compare the base with. Train a run first, or give --adapter DIR.", "compare",
        "--model",
        SFTBinary.model, "--questions", "q.jsonl")
      try sft.write("{\"instruction\":\"a\"}\n{\"x\":1}\n", to: "bad.jsonl")
      try sft.fail(65, "bad.jsonl:2: has no 'instruction', but \"x\".", "compare", "--questions", "bad.jsonl")
      try sft.write("{\"prompt\":\"a\",\"completion\":\"b\"}\n", to: "other.jsonl")
      try sft.fail(
        65,
        "other.jsonl:1: has no 'instruction', but \"prompt\" and \"completion\". Rename its fields: "
          + "jq -c '{instruction: .prompt, output: .completion}' FILE > NEW.jsonl.", "compare", "--questions",
        "other.jsonl")
    }
  }

  @Test func exportsAreWhatWasTrained() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.succeed("train", "--max-steps", "8", "--lr", "1e-2", "--quiet")
      let tuned = try sft.succeed("eval", "--data", SFTBinary.records, "--json", "--quiet").json()
      func loss(_ options: String...) throws -> Double {
        let report = try sft.run(["eval", "--data", SFTBinary.records, "--json", "--quiet"] + options).json()
        return report["loss"]?.double ?? .nan
      }
      let report = try sft.succeed("export", "--format", "peft", "--to", "out/peft", "--json").json()
      #expect(report["adapter"]?.string == ".sft/runs/run-1/best")
      #expect(report["model"]?.string == canonicalPath(SFTBinary.model))
      #expect(try loss("--model", SFTBinary.model, "--adapter", "out/peft") == tuned["loss"]?.double)
      for name in ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        #expect(try fileExists(sft.path("out/peft/\(name)")), "\(name)")
      }
      try sft.succeed("export", "--format", "merged", "--to", "out/merged")
      let merged = try loss("--model", "out/merged")
      #expect(abs(merged - (tuned["loss"]?.double ?? .nan)) < 1e-5)
      #expect(abs(merged - (try loss("--base"))) > 1e-3)
      let inspected = try sft.succeed("inspect", "model", "out/merged", "--json").json()
      #expect(inspected["parameters"]?.int == 199_232)
      #expect(inspected["tensors"]?.array?.count == 40)
      // A base alone, written again, has the digest that its adapters name.
      try sft.succeed("export", "--model", SFTBinary.model, "--format", "merged", "--to", "out/base")
      let base = try sft.succeed("inspect", "model", "out/base", "--json").json()
      let adapter = try sft.succeed("inspect", "adapter", "out/peft", "--json").json()
      #expect(base["digest"]?.string?.count == 64)
      #expect(base["digest"] == adapter["base_digest"])
      // Half the bytes and nearly the same model.
      try sft.succeed("export", "--format", "merged", "--dtype", "bfloat16", "--to", "out/half")
      #expect(abs(try loss("--model", "out/half") - merged) < 0.02)
      #expect(try sft.read("out/half/config.json").contains("\"bfloat16\""))
      let sizes = try ["merged", "half"].map { try readFile(sft.path("out/\($0)/model.safetensors")).count }
      #expect(Double(sizes[1]) < 0.55 * Double(sizes[0]))
      // Where nothing is said, weights and configuration are as the base's.
      #expect(try readFile(sft.path("out/merged/config.json")) == readFile(SFTBinary.model + "/config.json"))
      try sft.succeed("export", "--model", "out/half", "--format", "merged", "--to", "out/again")
      for name in ["config.json", "model.safetensors"] {
        #expect(try readFile(sft.path("out/again/\(name)")) == readFile(sft.path("out/half/\(name)")))
      }
      try sft.succeed("export", "--format", "merged", "--dtype", "float16", "--to", "out/f16")
      #expect(abs(try loss("--model", "out/f16") - merged) < 0.002)
      try sft.fail(
        64,
        "--dtype goes with --format merged, gguf and gguf-lora: a PEFT adapter and ONNX are written in float32, a model as it is.",
        "export",
        "--dtype", "float32", "--to", "out/no")
      #expect(try !fileExists(sft.path("out/no")))
      try sft.fail(
        73, "out/peft: the folder is not empty. Give another --to, or replace an earlier export with --overwrite.",
        "export", "--to", "out/peft")
      try sft.succeed("export", "--to", "out/peft", "--overwrite")
      // Only an export is ever replaced.
      try sft.write("mine", to: "out/notes")
      let run = try #require(try directoryEntries(sft.path(".sft/runs")).first)
      for folder in ["out", ".", ".sft/runs/\(run)/adapter"] {
        try sft.fail(
          73, "\(folder): is not an earlier export, so it is not replaced.", "export", "--to", folder, "--overwrite")
      }
      // Nor is what is exported.
      try sft.fail(
        73, "\(SFTBinary.model): is what is exported, so it is not replaced. Give another --to.", "export", "--to",
        SFTBinary.model, "--overwrite")
      try sft.fail(
        73, "out/peft: is what is exported, so it is not replaced. Give another --to.", "export", "--adapter",
        "out/peft", "--to", "out/peft", "--overwrite")
      #expect(try sft.read("out/notes") == "mine")
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func checkpointsAndRunsAreChosenByName() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--run", "a", "--max-steps", "4", "--save-every", "2", "--lr", "1e-2", "--quiet")
      try sft.succeed("train", "--run", "b", "--max-steps", "1", "--quiet")
      func described(_ options: String...) throws -> String {
        let outcome = try sft.run(["generate", "--prompt", "a", "--max-new-tokens", "1"] + options)
        return outcome.errors.split(separator: "\n").first.map { String($0.split(separator: " with ")[1]) } ?? ""
      }
      #expect(try described() == "last weights of run b")
      #expect(try described("--run", "a") == "last weights of run a")
      #expect(try described("--run", "a", "--checkpoint", "2") == "checkpoint of step 2 of run a")
      #expect(try described("--base") == "the base alone")
      try sft.fail(
        66, "run a has no checkpoint of step 3. It has 2, 4.", "generate", "--prompt", "a", "--run", "a",
        "--checkpoint",
        "3")
      try sft.fail(
        66, "there is no run 'nope' in .sft/runs. Those that are there: a, b.", "generate", "--prompt",
        "a",
        "--run", "nope")
    }
  }

  @Test func anAdapterOfAnotherBaseIsRefused() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--run", "a", "--max-steps", "1", "--quiet")
      // The same shapes, other values.
      try sft.succeed(
        "export", "--model", SFTBinary.model, "--adapter", SFTBinary.tiny + "/adapter", "--format", "merged", "--to",
        "other", "--quiet")
      let adapter = ".sft/runs/a/adapter"
      for options in [
        ["eval", "--data", SFTBinary.records, "--adapter", adapter], ["generate", "--prompt", "a", "--run", "a"],
        ["train", "--init-adapter", adapter], ["export", "--to", "out", "--adapter", adapter],
      ] {
        let outcome = try sft.run(options + ["--model", "other"])
        #expect(outcome.code == 65, "\(options)")
        #expect(outcome.errors.contains(": the adapter was trained on another base (digest "), "\(outcome.errors)")
        #expect(outcome.errors.hasSuffix("Give that base with --model, or insist with --force.\n"))
      }
      let forced = try sft.succeed(
        "eval", "--data", SFTBinary.records, "--adapter", adapter, "--model", "other", "--force")
      #expect(forced.errors.hasPrefix("The adapter \(adapter) was trained on another base; it is used all the same.\n"))
      let odd = fixturesFolder + "/gpt2-odd"
      let misfit = try sft.run("generate", "--prompt", "a", "--model", SFTBinary.model, "--adapter", odd + "/adapter")
      #expect(misfit.errors.contains("lora_A.weight': expected shape [8, 64], found [8, 60]."))
      #expect(misfit.code == 65)
      let tokenizer = try sft.run("train", "--model", odd + "/model")
      #expect(
        tokenizer.errors.hasSuffix("is not the one the data was prepared with. Run `sft prepare` with this model.\n"))
      #expect(tokenizer.code == 65)
    }
  }

  /// A copy of the tiny model, with one file replaced (or removed, for nil).
  private func copy(_ sft: SFTBinary, _ name: String, _ file: String, _ content: [UInt8]?) throws {
    try removeTree(sft.path(name))
    try createDirectory(sft.path(name))
    for entry in try directoryEntries(SFTBinary.model) where entry != file {
      try writeAtomically(try readFile(SFTBinary.model + "/" + entry), to: sft.path("\(name)/\(entry)"))
    }
    if let content { try writeAtomically(content, to: sft.path("\(name)/\(file)")) }
  }

  @Test func brokenModelsAreRefused() throws {
    try withSFT { sft in
      let weights = try readFile(SFTBinary.model + "/model.safetensors")
      var header = weights
      header.replaceSubrange(0..<8, with: [255, 255, 255, 255, 255, 255, 255, 127])
      for (content, message) in [
        ([], "m/model.safetensors: is 0 bytes long: too short for a safetensors file."),
        (
          header,
          "m/model.safetensors: the safetensors header claims 9223372036854775807 bytes, more than the 100000000 allowed. "
            + "It is probably not a safetensors file."
        ),
      ] {
        try copy(sft, "m", "model.safetensors", content)
        try sft.fail(65, message, "inspect", "model", "m")
      }
      try copy(sft, "m", "model.safetensors", Array(weights.prefix(weights.count / 2)))
      let cut = try sft.run("generate", "--model", "m", "--prompt", "a")
      #expect(cut.errors.hasPrefix("error: m/model.safetensors: tensor '"))
      #expect(cut.code == 65)
      try copy(sft, "m", "model.safetensors", nil)
      try sft.write("", to: "m/pytorch_model.bin")
      try sft.fail(
        65,
        "m: the weights are in PyTorch's own format (pytorch_model.bin), which is not read here. Convert them in Python: "
          + "from transformers import AutoModelForCausalLM; AutoModelForCausalLM.from_pretrained(\"m\")"
          + ".save_pretrained(\"NEW_FOLDER\", safe_serialization=True).", "inspect", "model", "m")
      let tokenizer = String(decoding: try readFile(SFTBinary.model + "/tokenizer.json"), as: UTF8.self)
      let foreign = tokenizer.replacing("\"ByteLevel\"", with: "\"BertPreTokenizer\"")
      try copy(sft, "m", "tokenizer.json", Array(foreign.utf8))
      try sft.fail(
        65,
        "m/tokenizer.json: the pre-tokenizer \"BertPreTokenizer\" is not supported. Use a model whose tokenizer is BPE, as "
          + "those of GPT-2, LLaMA, Qwen, Gemma and Mistral are.", "prepare", SFTBinary.records, "--model", "m")
      let configuration = String(decoding: try readFile(SFTBinary.model + "/config.json"), as: UTF8.self)
      try copy(
        sft, "m", "config.json", Array(configuration.replacing("\"vocab_size\": 512", with: "\"vocab_size\": 100").utf8)
      )
      try sft.fail(
        65,
        "m/model.safetensors: tensor 'transformer.wte.weight': config.json gives it shape [100, 64], found [512, 64].",
        "prepare", SFTBinary.records, "--model", "m")
      try copy(sft, "m", "config.json", Array(configuration.replacing("\"gpt2\"", with: "\"other\"").utf8))
      try sft.fail(
        65,
        "m/config.json: model_type 'other' is not supported; supported: gpt2, llama, mistral, qwen2, qwen3, smollm3, olmo2, "
          + "granite, hyperclovax, phi3, gemma, gemma2, gemma3_text, gemma3, exaone, exaone4.", "prepare",
        SFTBinary.records, "--model", "m")
      #expect(try !directoryExists(sft.path(".sft/runs")))
    }
  }

  @Test func aModelIsFoundInTheHuggingFaceCache() throws {
    try withSFT { sft in
      let repository = "hf home/hub/models--org--tiny"
      try createDirectory(sft.path(repository + "/refs"))
      try createDirectory(sft.path(repository + "/snapshots"))
      try copy(sft, repository + "/snapshots/abc", "", nil)
      try sft.write("abc", to: repository + "/refs/main")
      sft.environment["HF_HOME"] = sft.path("hf home")
      try sft.succeed("prepare", SFTBinary.records, "--model", "org/tiny", "--val", "0")
      try sft.succeed("train", "--max-steps", "1", "--quiet")
      let adapter = try sft.succeed("inspect", "adapter", ".sft/runs/run-1/adapter", "--json").json()
      #expect(adapter["base_model"]?.string == "org/tiny")
      try sft.succeed("generate", "--instruction", "x", "--max-new-tokens", "1")
      let missing = try sft.run("inspect", "model", "org/none")
      #expect(missing.errors.hasPrefix("error: cannot find the model: there is no folder 'org/none', and no snapshot"))
      #expect(missing.code == 66)
    }
  }
}
