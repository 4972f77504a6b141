import Core
import Files
import JSON
import Testing
import Tokenizing

/// A folder with a tokenizer.model alone, against the sentencepiece library
/// (Fixtures/sentencepiece/make_sentencepiece.py).
@Suite struct SentencePieceTests {
  private let folder = fixturePath("sentencepiece")

  @Test func encodesAndDecodes() throws {
    let tokenizer = try Tokenizer(folder: folder)
    let encoder = tokenizer.makeEncoder()
    for line in try readFile(folder + "/cases.jsonl").split(separator: 0x0a) {
      let item = try line.withUnsafeBytes { try parseJSON($0, file: folder, firstLine: 1) }
      let text = try #require(item["text"]?.string)
      let expected = ids(item["ids"] ?? .null)
      #expect(encoder.encode(text) == expected, "\(text.debugDescription)")
      let decoded = try tokenizer.decode(expected, skipSpecialTokens: false)
      #expect(item["decoded"]?.string?.utf8.elementsEqual(decoded.utf8) == true, "\(decoded.debugDescription)")
    }
  }

  @Test func itsControlPiecesAreSpecial() throws {
    let tokenizer = try Tokenizer(folder: folder)
    #expect(tokenizer.specialTokens == ["<unk>": 0, "<s>": 1, "</s>": 2])
    #expect(tokenizer.endOfText == 2)
    #expect(try Tokenizer.files(in: folder) == ["tokenizer.model"])
  }

  /// What stands around a text is the configuration's word, for want of a tokenizer.json.
  @Test func theConfigurationSaysWhatStandsAroundATextWhereNoTokenizerFileDoes() throws {
    func around(_ config: String?, _ other: [String: String] = [:]) throws -> [[Int32]] {
      var files = other
      if let config { files["tokenizer_config.json"] = config }
      return try withFolder(files) { place in
        if other.isEmpty {
          try writeAtomically(try readFile(folder + "/tokenizer.model"), to: place + "/tokenizer.model")
        }
        let tokenizer = try Tokenizer(folder: place)
        return [tokenizer.beginning, tokenizer.ending]
      }
    }
    #expect(try around(nil) == [[1], []])
    #expect(try around(#"{"add_bos_token":false}"#) == [[], []])
    #expect(try around(#"{"add_bos_token":true,"add_eos_token":true}"#) == [[1], [2]])
    let both = #"{"add_bos_token":true,"add_eos_token":true,"bos_token":"!","eos_token":"!"}"#
    let pair = [
      "vocab.json": try fileText(fixturePath("gpt2-files/vocab.json")),
      "merges.txt": try fileText(fixturePath("gpt2-files/merges.txt")),
    ]
    #expect(try around(both, pair) == [[0], [0]])
    #expect(try around(#"{"bos_token":"!"}"#, pair) == [[], []])
    let whole = ["tokenizer.json": try fileText(fixturePath("gpt2/tokenizer.json"))]
    #expect(try around(both, whole) == [[], []])
  }

  private func error(_ bytes: [UInt8]) throws -> SFTError {
    try withFolder([:]) { place in
      try writeAtomically(bytes, to: place + "/tokenizer.model")
      do {
        _ = try Tokenizer(folder: place)
      } catch let error as SFTError {
        return error
      }
      Issue.record("loaded")
      return SFTError(.internalError, "loaded")
    }
  }

  /// A field of a message: its number, and bytes or an integer below 128.
  private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
  private func field(_ number: UInt8, _ value: UInt8) -> [UInt8] { [number << 3, value] }

  @Test func whatIsNotSupportedIsNamed() throws {
    let bpe = field(2, field(3, 2))
    let plain = field(3, field(4, 0))
    let piece = field(1, field(1, Array("a".utf8)))
    for (bytes, message) in [
      (field(2, field(3, 1)) + plain, "the model type Unigram is not supported"),
      (piece + plain, "the model type Unigram is not supported"),
      (bpe + piece, #""remove_extra_whitespaces" is not supported"#),
      (bpe + field(3, field(2, [1]) + field(4, 0)), #"a normaliser's "precompiled_charsmap" is not supported"#),
      (bpe + field(3, field(4, 0) + field(5, 0)), #""escape_whitespaces" off is not supported"#),
      (field(2, field(3, 2) + [24 << 3 & 0x7f | 0x80, 1, 1]) + plain, #""treat_whitespace_as_suffix""#),
      (bpe + plain + field(1, field(1, Array("b".utf8)) + field(3, 5)), #"the unused piece "b""#),
      (bpe + plain + field(1, field(1, Array("▁b".utf8)) + field(3, 4)), #"the user-defined piece "▁b""#),
      (bpe + plain + field(1, field(3, 9)), "its piece 0 is of an unknown kind"),
      (bpe + plain + field(1, field(1, [0xff])), "its piece 0 is not UTF-8"),
      (bpe + plain + piece + piece, #"the token "a" is there twice"#),
      (bpe + plain, "its vocabulary is empty"),
    ] {
      let error = try error(bytes)
      #expect(error.kind == .badData)
      #expect(error.message.contains(message), "\(error)")
      #expect(error.file?.hasSuffix("/tokenizer.model") == true)
    }
  }

  /// Wherever the file is cut, and whatever byte of its first pieces is changed: an error or a tokenizer, never a trap.
  @Test func brokenFiles() throws {
    let whole = try readFile(folder + "/tokenizer.model")
    for cut in stride(from: 1, to: whole.count, by: 997) { #expect(try error(Array(whole[..<cut])).kind == .badData) }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<40 {
      var bytes = whole
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
      try withFolder([:]) { place in
        try writeAtomically(bytes, to: place + "/tokenizer.model")
        do { _ = try Tokenizer(folder: place) } catch let error as SFTError { #expect(error.kind == .badData) }
      }
    }
  }
}
