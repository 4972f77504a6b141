import Core
import Files
import JSON
import Testing
import Tokenizing

/// Whole pipelines of real families against what Hugging Face's tokenizers made of awkward texts
/// (Fixtures/pipelines/make_tokenizer_reference.py and make_pipelines.py).
@Suite struct PipelineTests {
  static let names = [
    "ax", "deepseek", "exaone3_5", "gemma", "kogpt2", "llama2", "llama2_normalized", "marks_uncut", "mistral",
    "o200k_uncut", "phi3", "phi4", "qwen2", "smollm2_partial", "tekken_uncut",
  ]

  private func cases(_ name: String) throws -> [JSONValue] {
    let path = fixturePath("pipelines/\(name)/cases.jsonl")
    return try readFile(path).split(separator: 0x0a).map { line in
      try line.withUnsafeBytes { try parseJSON($0, file: path, firstLine: 1) }
    }
  }

  private func encode(_ pieces: [TextPiece], _ tokenizer: Tokenizer) -> [Int32] {
    var result: [Int32] = []
    tokenizer.makeEncoder().encode(pieces, into: &result)
    return result
  }

  @Test(arguments: names) func encodes(name: String) throws {
    let tokenizer = try fixture("pipelines/" + name)
    for item in try cases(name) {
      let text = try #require(item["text"]?.string)
      let plain = encode([TextPiece(text: text, recognisesSpecialTokens: false)], tokenizer)
      let found = encode([TextPiece(text: text, recognisesSpecialTokens: true)], tokenizer)
      #expect(plain == ids(item["plain"] ?? .null), "\(text.debugDescription)")
      #expect(found == ids(item["ids"] ?? .null), "\(text.debugDescription)")
      let whole = tokenizer.beginning + found + tokenizer.ending
      #expect(whole == ids(item["ids_special"] ?? .null), "\(text.debugDescription)")
    }
  }

  @Test(arguments: names) func decodes(name: String) throws {
    let tokenizer = try fixture("pipelines/" + name)
    for item in try cases(name) {
      for (key, list, skip) in [("decoded", "ids", false), ("decoded_skip", "ids_special", true)] {
        let tokens = ids(item[list] ?? .null)
        let expected = try #require(item[key]?.string)
        #expect(try tokenizer.decode(tokens, skipSpecialTokens: skip).utf8.elementsEqual(expected.utf8))
        var decoder = tokenizer.makeDecoder(skipSpecialTokens: skip)
        // Twice with one decoder, which `finish` makes as new.
        for _ in 0..<2 {
          let streamed = try tokens.map { try decoder.push($0) }.joined() + decoder.finish()
          #expect(
            streamed.utf8.elementsEqual(expected.utf8), "\(streamed.debugDescription) for \(expected.debugDescription)")
        }
      }
    }
  }

  /// Where the pieces of a text meet makes no difference, as long as no special token lies there.
  @Test(arguments: ["gemma", "kogpt2", "llama2", "llama2_normalized", "mistral", "phi3", "qwen2"])
  func piecesAreOneText(name: String) throws {
    let tokenizer = try fixture("pipelines/" + name)
    let special = try #require(tokenizer.specialTokens.keys.filter { $0.utf8.count > 2 }.sorted().first)
    for text in [" 안녕 hello e\u{301} x", "\u{1112}\u{1161}\u{11ab}\u{1100} 12", "a\u{323}\u{302}  b\n"] {
      let scalars = Array(text.unicodeScalars)
      let whole = encode([TextPiece(text: special + text, recognisesSpecialTokens: true)], tokenizer)
      for cut in 0...scalars.count {
        let pieces = [
          TextPiece(text: special + String(String.UnicodeScalarView(scalars[..<cut])), recognisesSpecialTokens: true),
          TextPiece(text: String(String.UnicodeScalarView(scalars[cut...])), recognisesSpecialTokens: false),
        ]
        #expect(encode(pieces, tokenizer) == whole, "cut at \(cut) of \(text.debugDescription)")
      }
    }
  }

  /// What is written before a text is not written where an answer goes on from its prompt.
  @Test(arguments: ["gemma", "kogpt2", "llama2", "mistral", "phi3", "qwen2"])
  func aTextGoesOnFromAnother(name: String) throws {
    let tokenizer = try fixture("pipelines/" + name)
    let special = try #require(tokenizer.specialTokens.keys.filter { $0.utf8.count > 2 }.sorted().last)
    for (prompt, answer) in [("[hi]\n", "answer it"), ("ask:", " the model"), ("a" + special, "the"), (special, " b")] {
      let whole = encode([TextPiece(text: prompt + answer, recognisesSpecialTokens: true)], tokenizer)
      let encoder = tokenizer.makeEncoder()
      var ids: [Int32] = []
      encoder.encode([TextPiece(text: prompt, recognisesSpecialTokens: true)], into: &ids)
      encoder.encode([TextPiece(text: answer, recognisesSpecialTokens: false)], after: ids.last, into: &ids)
      #expect(ids == whole, "\(prompt) + \(answer)")
    }
  }

  /// The text of a special token that the normaliser's writing changes is found in the template's own text and not in data.
  @Test func dataNeverBecomesANormalizedSpecialToken() throws {
    let tokenizer = try fixture("pipelines/llama2_normalized")
    let end = try #require(tokenizer.specialTokens["</s>"])
    func count(_ pieces: [(String, Bool)]) -> Int {
      encode(pieces.map { TextPiece(text: $0.0, recognisesSpecialTokens: $0.1) }, tokenizer).count { $0 == end }
    }
    #expect(count([("</s>", true)]) == 1)
    #expect(count([(" </s>", true)]) == 1)
    #expect(count([("a </s>", true), (" b </s>", false)]) == 1)
    #expect(count([("a", false), (" </s>", true), ("b", false)]) == 1)
    #expect(count([("a </s", true), (">", false)]) == 0)
    #expect(count([("a ", false), ("</s>", true)]) == 0)
    #expect(count([("</s>", false)]) == 0)
  }

  /// Runs of bytes are held until it is known whether they are text.
  @Test func runsOfBytesAreDecodedWhole() throws {
    let tokenizer = try fixture("pipelines/llama2")
    let encoder = tokenizer.makeEncoder()
    let han = encoder.encode("a\u{2070e}").suffix(4)
    let letter = try #require(encoder.encode("ab").last)
    #expect(try tokenizer.decode(Array(han)) == "\u{2070e}")
    #expect(try tokenizer.decode(Array(han) + han.prefix(1)) == String(repeating: "\u{fffd}", count: 5))
    var decoder = tokenizer.makeDecoder(skipSpecialTokens: true)
    for id in han { #expect(try decoder.push(id) == "") }
    #expect(try decoder.push(letter).hasPrefix("\u{2070e}"))
  }

  /// A word as long as the text, cut nowhere or everywhere: a quadratic step would take minutes.
  @Test(
    .timeLimit(.minutes(5)),
    arguments: ["a", " ", "\n", "▁", "가", "ab ", "\u{2070e}", "e\u{301}", "\u{301}", "<s>", "1"])
  func longTexts(unit: String) throws {
    let text = String(repeating: unit, count: 100_000 / unit.utf8.count)
    for name in ["gemma", "kogpt2", "llama2", "llama2_normalized", "mistral"] {
      let tokenizer = try fixture("pipelines/" + name)
      let found = encode([TextPiece(text: text, recognisesSpecialTokens: true)], tokenizer)
      #expect(!found.isEmpty)
      _ = try tokenizer.decode(found)
    }
  }
}
