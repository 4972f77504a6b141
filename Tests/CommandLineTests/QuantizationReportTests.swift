import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `quantize --report`: what 4 bits cost each linear.
@Suite struct QuantizationReportTests {
  @Test(arguments: [("nf4", true), ("fp4", false)])
  func figuresAreTheReferences(_ kind: String, _ double: Bool) throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      let expected = try #require(try reference.quantization(kind, double: double))
      let outcome = try sft.run(
        [
          "quantize", "--model", reference.model, "--data", reference.records, "--quant", kind, "--quant-skip",
          "c_proj", "--json", "--quiet",
        ] + (double ? [] : ["--no-double-quant"]))
      let report = try outcome.json()
      let layers = report["layers"]?.array ?? []
      #expect(layers.count == 6)
      for layer in layers {
        let own = expected["layers"]?.array?.first { $0["name"] == layer["name"] }
        #expect(relativeError(layer["relative_error"]?.double ?? .nan, own?["weights"]?.double ?? .nan) < 1e-5)
        #expect(relativeError(layer["output_error"]?.double ?? .nan, own?["outputs"]?.double ?? .nan) < 1e-5)
      }
      // Skipped ones are named and not among the layers.
      let kept = (report["kept"]?.array ?? []).compactMap(\.string)
      #expect(kept.count == 6 && kept.allSatisfy { $0.hasSuffix(".c_proj") })
      #expect(Set(kept).isDisjoint(with: layers.compactMap { $0["name"]?.string }))
      let data = report["output_data"]
      #expect(data?["records"]?.int == 20 && data?["total_records"]?.int == 20 && data?["tokens"]?.int == 1284)
    }
  }

  @Test func theWorstComesFirst() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      func table(_ arguments: String...) throws -> [[String]] {
        let outcome = try sft.run(["quantize", "--model", reference.model, "--report", "--quiet"] + arguments)
        #expect(outcome.code == 0, "\(outcome.errors)")
        return outcome.output.split(separator: "\n").filter { $0.hasPrefix("transformer.") }.map { line in
          line.split(separator: " ").map(String.init).filter { $0 != "%" }
        }
      }
      let plain = try table()
      #expect(plain.count == 12 && plain.allSatisfy { $0.count == 2 })
      let measured = try table("--data", reference.records)
      #expect(measured.count == 12 && measured.allSatisfy { $0.count == 3 })
      for rows in [plain, measured] {
        let figures = rows.compactMap { $0.last.flatMap(Double.init) }
        #expect(figures.count == 12 && figures == figures.sorted(by: >))
      }
      // Without data nothing of it is in the JSON either.
      let report = try sft.succeed("quantize", "--model", reference.model, "--report", "--json", "--quiet").json()
      #expect(report["loss"] == nil && report["output_data"] == nil)
      #expect(report["layers"]?.array?.allSatisfy { $0["output_error"] == nil } == true)
      let brief = try sft.succeed("quantize", "--model", reference.model, "--data", reference.records, "--quiet")
      #expect(!brief.output.contains("outputs"))
    }
  }

  /// Much data is looked at in part, and the report says so.
  @Test func muchDataIsBounded() throws {
    try withSFT { sft in
      let reference = try ReferenceCase("gpt2-tiny")
      let records = try String(decoding: readFile(reference.records), as: UTF8.self)
      try sft.write(String(repeating: records, count: 10), to: "much.jsonl")
      let report = try sft.succeed(
        "quantize", "--model", reference.model, "--data", "much.jsonl", "--json", "--quiet"
      ).json()
      let (used, total) = (report["output_data"]?["records"]?.int ?? 0, report["output_data"]?["total_records"]?.int)
      let tokens = report["output_data"]?["tokens"]?.int ?? 0
      #expect(total == 200 && used > 50 && used < 100 && tokens > 3900 && tokens <= 4096)
      let text = try sft.succeed(
        "quantize", "--model", reference.model, "--data", "much.jsonl", "--report", "--quiet")
      #expect(text.output.contains("of \(used) of 200 records"))
    }
  }

  /// Bad data is refused before the folder is written.
  @Test func badDataStopsItFirst() throws {
    try withSFT { sft in
      try sft.write("", to: "empty.jsonl")
      try sft.write("{\"instruction\": \"a\", \"output\": \"b\"}\n{\"instruction\": \"a\"}\n", to: "bad.jsonl")
      let cases: [(String, Int32, String)] = [
        ("empty.jsonl", 65, "holds no records"), ("bad.jsonl", 65, "bad.jsonl:2:"), ("none.jsonl", 66, "none.jsonl"),
      ]
      for (file, code, words) in cases {
        let outcome = try sft.run(
          "quantize", "--model", SFTBinary.model, "--to", "q", "--report", "--data", file, "--quiet")
        #expect(outcome.code == code && outcome.errors.contains(words), "\(outcome.errors)")
        #expect(try outcome.output == "" && !directoryExists(sft.path("q")))
      }
      #expect(try sft.leftovers() == [])
    }
  }
}
