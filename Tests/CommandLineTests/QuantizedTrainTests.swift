import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `--qlora`: the reference curve, what is recorded, and what later verbs make of it.
@Suite struct QuantizedTrainTests {
  private func prepare(_ sft: SFTBinary, _ reference: ReferenceCase) throws {
    try sft.succeed("prepare", reference.records, "--model", reference.model, "--val", "0", "--quiet")
  }

  private func artifacts(_ sft: SFTBinary) throws -> [String] {
    try directoryEntries(sft.path(".sft/artifacts/quantized"))
  }

  @Test(arguments: ["gpt2-tiny", "gpt2-odd"], ["auto", "plain"])
  func theCurveIsTheReference(_ name: String, engine: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      try prepare(sft, reference)
      try sft.succeed(
        "train", "--qlora", "--init-adapter", reference.adapter, "--no-shuffle", "--batch-size", "4", "--lr", "1e-2",
        "--scheduler", "constant", "--max-steps", "6", "--engine", engine, "--run", "curve", "--quiet")
      let measured = try lines(of: sft.path(".sft/runs/curve/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let expected = reference.curve("train_qlora")
      try #require(expected.count == 6 && measured.count == 6)
      for (line, step) in zip(measured, expected) {
        #expect(relativeError(line["loss"]?.double ?? .nan, step.loss) < 1e-4)
        #expect(relativeError(line["grad_norm"]?.double ?? .nan, step.gradientNorm) < 1e-3)
      }
    }
  }

  @Test func theQuantisedBaseIsMadeOnceAndRecorded() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-odd")
      try prepare(sft, reference)
      func train(_ arguments: String...) throws {
        let outcome = try sft.run(["train", "--batch-size", "4", "--max-steps", "4", "--quiet"] + arguments)
        #expect(outcome.code == 0, "\(outcome.errors)")
      }
      try train("--qlora", "--run", "a")
      try train("--qlora", "--gradient-checkpointing", "--run", "b")
      #expect(try artifacts(sft).count == 1)
      let weights = try ["a", "b"].map { try readFile(sft.path(".sft/runs/\($0)/adapter/adapter_model.safetensors")) }
      #expect(weights[0] == weights[1])
      try train("--qlora", "--quant", "fp4", "--no-double-quant", "--run", "c")
      #expect(try artifacts(sft).count == 2)

      let configuration = try parseJSONFile(sft.path(".sft/runs/a/config.json"))
      #expect(configuration["quantization"]?["settings"]?["kind"]?.string == "nf4")
      try sft.succeed("export", "--run", "a", "--to", "out", "--quiet")
      #expect(try parseJSONFile(sft.path("out/adapter_config.json"))["fan_in_fan_out"] == .bool(false))
      try sft.succeed("export", "--run", "a", "--format", "merged", "--to", "merged", "--quiet")
      try sft.succeed("inspect", "model", "merged", "--json")
    }
  }

  /// Later verbs take the run's quantisation; `--no-qlora` says otherwise.
  @Test func laterVerbsUseTheRunsBase() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      try prepare(sft, reference)
      try sft.succeed("train", "--qlora", "--max-steps", "2", "--quiet")
      func loss(_ arguments: String...) throws -> Double {
        try sft.run(["eval", "--data", reference.records, "--json", "--quiet"] + arguments).json()["loss"]?.double
          ?? .nan
      }
      #expect(relativeError(try loss("--base"), reference.loss("nf4")) < 1e-5)
      #expect(relativeError(try loss("--base", "--no-qlora"), reference.loss("base")) < 1e-5)
      #expect(relativeError(try loss("--model", reference.model), reference.loss("base")) < 1e-5)
      // What is said outright wins over what the run has.
      let named = try loss("--base", "--qlora", "--quant", "fp4")
      #expect(named == (try loss("--model", reference.model, "--qlora", "--quant", "fp4")))
      #expect(relativeError(named, reference.loss("nf4")) > 1e-5)
      #expect(relativeError(try loss("--model", reference.model, "--qlora"), reference.loss("nf4")) < 1e-5)
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      try prepare(sft, reference)
      #expect(try sft.run("train", "--quant", "fp4").code == 64)
      #expect(try sft.run("train", "--qlora", "--quant", "int3").code == 64)
      let skipped = try sft.run("train", "--qlora", "--quant-skip", "c_none", "--run", "x")
      #expect(skipped.code == 64)
      #expect(skipped.errors.contains("--quant-skip: no linear of the model is named 'c_none'"))
      try sft.succeed("train", "--qlora", "--max-steps", "2", "--run", "y", "--quiet")
      let changed = try sft.run("train", "--run", "y", "--resume", "--qlora", "--quant", "fp4")
      #expect(changed.code == 64)
      #expect(changed.errors.contains("--qlora fp4"))
    }
  }
}
