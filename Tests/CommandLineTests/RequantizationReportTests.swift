import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `export --format merged --report`: how much of an adapter is left where the merged model is quantised again.
@Suite struct RequantizationReportTests {
  /// A copy of the reference adapter, each of its values times `factor`.
  private func scaleAdapter(_ sft: SFTBinary, by factor: Float) throws -> String {
    try createDirectory(sft.path("scaled"))
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      var bytes = try readFile(SFTBinary.tiny + "/adapter/" + name)
      if name.hasSuffix(".safetensors") {
        let header = 8 + Int(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        bytes.withUnsafeMutableBytes { bytes in
          for place in stride(from: header, to: bytes.count, by: 4) {
            let value = bytes.loadUnaligned(fromByteOffset: place, as: Float.self)
            bytes.storeBytes(of: value * factor, toByteOffset: place, as: Float.self)
          }
        }
      }
      try writeAtomically(bytes, to: sft.path("scaled/" + name))
    }
    return "scaled"
  }

  private func report(_ sft: SFTBinary, _ arguments: String...) throws -> JSONValue? {
    let outcome = try sft.run(
      ["export", "--format", "merged", "--to", "merged", "--overwrite", "--json", "--quiet"] + arguments)
    #expect(outcome.code == 0, "\(outcome.errors)")
    return try outcome.json()["requantization"]
  }

  @Test(arguments: [("nf4", true), ("fp4", false)])
  func figuresAreTheReferences(_ kind: String, _ double: Bool) throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      let expected = try #require(try reference.quantization(kind, double: double))
      let outcome = try sft.run(
        [
          "export", "--model", reference.model, "--adapter", reference.adapter, "--format", "merged", "--to", "m",
          "--report", "--qlora", "--quant", kind, "--json", "--quiet",
        ] + (double ? [] : ["--no-double-quant"]))
      let report = try outcome.json()["requantization"]
      #expect(report?["quantization"]?["kind"]?.string == kind)
      #expect(report?["quantization"]?["double_quantization"]?.bool == double)
      #expect(relativeError(report?["survived"]?.double ?? .nan, expected["survived"]?.double ?? .nan) < 1e-3)
      #expect(relativeError(report?["relative_error"]?.double ?? .nan, expected["error"]?.double ?? .nan) < 1e-3)
      let layers = report?["layers"]?.array ?? []
      #expect(layers.map { $0["name"] } == expected["layers"]?.array?.map { $0["name"] })
      for (layer, own) in zip(layers, expected["layers"]?.array ?? []) {
        for (key, other) in [("survived", "survived"), ("relative_error", "error"), ("delta_norm", "norm")] {
          #expect(relativeError(layer[key]?.double ?? .nan, own[other]?.double ?? .nan) < 1e-3)
        }
      }
      #expect(report?["kept"]?.array?.isEmpty == true)
    }
  }

  /// A run or adapter trained over 4 bits is reported on as it was trained, unless told otherwise.
  @Test func trainedOverFourBitsIsReported() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--max-steps", "2", "--run", "full", "--quiet")
      try sft.succeed(
        "train", "--qlora", "--quant", "fp4", "--quant-skip", "mlp.c_proj", "--max-steps", "2", "--run", "four",
        "--quiet")
      let trained = try report(sft, "--run", "four")
      #expect(trained?["quantization"]?["kind"]?.string == "fp4")
      #expect(trained?["layers"]?.array?.count == 9 && trained?["kept"]?.array?.count == 3)
      #expect(trained?["relative_error"]?.double ?? .nan > 0)
      try sft.succeed("export", "--run", "four", "--to", "peft", "--quiet")
      #expect(try report(sft, "--model", SFTBinary.model, "--adapter", "peft") == trained)
      #expect(try report(sft, "--run", "four", "--no-report") == nil)
      #expect(try report(sft, "--run", "four", "--no-qlora") == nil)
      #expect(try report(sft, "--run", "four", "--qlora")?["quantization"]?["kind"]?.string == "nf4")
      #expect(try report(sft, "--run", "full") == nil)
      #expect(try report(sft, "--run", "full", "--report")?["layers"]?.array?.count == 12)

      try sft.succeed("train", "--lora-targets", "c_fc", "--max-steps", "2", "--run", "one", "--quiet")
      let kept = try report(sft, "--run", "one", "--report", "--qlora", "--quant-skip", "c_fc")
      #expect(kept?["layers"]?.array?.isEmpty == true && kept?["kept"]?.array?.count == 3 && kept?["survived"] == nil)

      let text = try sft.succeed("export", "--run", "four", "--format", "merged", "--to", "text", "--quiet").output
      let lines = text.split(separator: "\n").map(String.init)
      let errors = lines.filter { $0.hasPrefix("transformer.") }
        .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
      #expect(errors.count == 9 && errors == errors.sorted(by: >))
      #expect(
        lines.contains { $0.hasPrefix("all 9 together") } && lines.contains { $0.hasPrefix("kept        3 linears") })
      #expect(lines.contains { $0.hasPrefix("Quantised again, the merged weights hold ") })
      #expect(lines.last == "written to text")
    }
  }

  @Test func noChangeAndALargeOne() throws {
    try withSFT { sft in
      let adapter = ["--model", SFTBinary.model, "--adapter", try scaleAdapter(sft, by: 0), "--report"]
      let command = ["export", "--format", "merged", "--to", "m", "--overwrite", "--quiet"]
      let none = try sft.run(command + adapter + ["--json"]).json()["requantization"]
      #expect(none?["layers"]?.array?.count == 12 && none?["survived"] == nil && none?["relative_error"] == nil)
      #expect(none?["layers"]?.array?.allSatisfy { $0["delta_norm"]?.double == 0 && $0["survived"] == nil } == true)
      let text = try sft.run(command + adapter)
      #expect(text.code == 0 && text.output.contains("The adapter changes nothing yet"), "\(text.errors)")
      #expect(!text.output.contains("nan"))

      _ = try scaleAdapter(sft, by: 100)
      let large = try sft.run(command + adapter + ["--json"]).json()["requantization"]
      // Nothing but what 4 bits cost any weight.
      #expect(abs((large?["survived"]?.double ?? .nan) - 1) < 0.01)
      #expect(large?["relative_error"]?.double ?? .nan < 0.11)
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    try withSFT { sft in
      let peft = try sft.run(
        "export", "--model", SFTBinary.model, "--adapter", SFTBinary.tiny + "/adapter", "--report", "--to", "out")
      #expect(peft.code == 64 && peft.errors.contains("--report goes with --format merged"))
      try sft.fail(
        66, "there is no adapter to report on. Train a run first, or give --adapter DIR.", "export", "--model",
        SFTBinary.model, "--format", "merged", "--report", "--to", "out", "--quiet")
      // Not finite in float32: nothing is written.
      let infinite = try sft.run(
        "export", "--model", SFTBinary.model, "--adapter", try scaleAdapter(sft, by: 1e30), "--format", "merged",
        "--report", "--to", "out", "--quiet")
      #expect(infinite.code == 65 && infinite.errors.contains("infinity"), "\(infinite.errors)")
      #expect(try !directoryExists(sft.path("out")))
    }
  }
}
