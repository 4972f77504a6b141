import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `quantize`, and folders that are stored in 4 bits.
@Suite struct QuantizeTests {
  private func loss(_ sft: SFTBinary, _ reference: ReferenceCase, _ arguments: String...) throws -> Double {
    let outcome = try sft.run(["eval", "--data", reference.records, "--json", "--quiet"] + arguments)
    #expect(outcome.code == 0, "\(outcome.errors)")
    return try outcome.json()["loss"]?.double ?? .nan
  }

  @Test func theFolderIsAModelAgain() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      let report = try sft.succeed(
        "quantize", "--model", reference.model, "--to", "q", "--data", reference.records, "--json", "--quiet"
      ).json()
      #expect(report["layers"]?.array?.count == 12)
      #expect(relativeError(report["loss"]?.double ?? .nan, reference.loss("base")) < 1e-5)
      #expect(relativeError(report["quantized_loss"]?.double ?? .nan, reference.loss("nf4")) < 1e-5)
      #expect(relativeError(try loss(sft, reference, "--model", "q"), reference.loss("nf4")) < 1e-5)
      #expect(
        relativeError(
          try loss(sft, reference, "--model", "q", "--adapter", reference.adapter), reference.loss("nf4_adapter"))
          < 1e-5)
      let configuration = try parseJSONFile(sft.path("q/config.json"))["quantization_config"]
      #expect(configuration?["quant_method"]?.string == "bitsandbytes")
      #expect(configuration?["bnb_4bit_quant_type"]?.string == "nf4")
      #expect(configuration?["bnb_4bit_use_double_quant"]?.bool == true)
      let again = try sft.run("quantize", "--model", "q", "--to", "r")
      #expect(again.code == 64 && again.errors.contains("is stored in 4 bits already"))
      let merged = try sft.run("export", "--model", "q", "--format", "merged", "--to", "m")
      #expect(merged.code == 64 && merged.errors.contains("nothing can be merged into it"))
    }
  }

  /// What is left out stays as it was, and the loader is told.
  @Test func skippedLinearsStay() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-odd")
      let report = try sft.succeed(
        "quantize", "--model", reference.model, "--to", "q", "--quant", "fp4", "--no-double-quant", "--quant-skip",
        "c_proj", "--json", "--quiet"
      ).json()
      #expect(report["layers"]?.array?.count == 4)
      let skipped = try parseJSONFile(sft.path("q/config.json"))["quantization_config"]?["llm_int8_skip_modules"]
      #expect(skipped?.array?.count == 5)
      let direct = try loss(
        sft, reference, "--model", reference.model, "--qlora", "--quant", "fp4", "--no-double-quant", "--quant-skip",
        "c_proj")
      #expect(try loss(sft, reference, "--model", "q") == direct)
    }
  }

  /// A wrong block size, a missing statistic, a cut file: each is named.
  @Test func damagedFoldersAreRefused() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      try sft.succeed("quantize", "--model", reference.model, "--to", "q", "--quiet")
      let path = sft.path("q/model.safetensors")
      let sound = try readFile(path)
      func replacing(_ old: String, with new: String) -> [UInt8] {
        precondition(old.utf8.count == new.utf8.count)
        var bytes = sound
        let (old, new) = (Array(old.utf8), Array(new.utf8))
        if let place = (0..<bytes.count - old.count).first(where: { bytes[$0..<$0 + old.count].elementsEqual(old) }) {
          bytes.replaceSubrange(place..<place + old.count, with: new)
        }
        #expect(bytes != sound)
        return bytes
      }
      let cases: [([UInt8], String)] = [
        (replacing("\"blocksize\": 64", with: "\"blocksize\": 32"), "blocksize"),
        (replacing("c_attn.weight.nested_absmax\"", with: "c_attn.weight.nested_abxmax\""), "nested_absmax"),
        (Array(sound.dropLast(100)), "model.safetensors"),
      ]
      for (bytes, word) in cases {
        try writeAtomically(bytes, to: path)
        let outcome = try sft.run("eval", "--model", "q", "--data", reference.records, "--quiet")
        #expect(outcome.code == 65, "\(outcome.errors)")
        #expect(outcome.errors.contains(word), "\(outcome.errors)")
      }
    }
  }
}
