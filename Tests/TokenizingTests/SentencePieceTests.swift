import Core
import Files
import JSON
import Testing
import Tokenizing

/// A folder with a tokenizer.model alone, against the sentencepiece library
/// (Fixtures/sentencepiece/make_sentencepiece.py, and Fixtures/make_mapped_sentencepiece.py for those that normalise).
@Suite struct SentencePieceTests {
  static let names = ["sentencepiece", "sentencepiece-mapped", "sentencepiece-visible"]

  private let folder = fixturePath("sentencepiece")

  @Test(arguments: names) func encodesAndDecodes(_ name: String) throws {
    let folder = fixturePath(name)
    let tokenizer = try Tokenizer(folder: folder)
    let encoder = tokenizer.makeEncoder()
    for line in try readFile(folder + "/cases.jsonl").split(separator: 0x0a) {
      let item = try line.withUnsafeBytes { try parseJSON($0, file: folder, firstLine: 1) }
      let text = try #require(item["text"]?.string)
      let expected = ids(item["ids"] ?? .null)
      #expect(encoder.encode(text) == expected, "\(text.debugDescription)")
      // The library writes the unknown token as a sign of its own.
      if expected.contains(0) { continue }
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
      (bpe + piece + field(3, field(2, [1])), #"its "precompiled_charsmap" is cut short"#),
      (bpe + piece + plain + field(5, field(2, [1])), "a denormaliser is not supported"),
      (bpe + field(3, field(4, 0) + field(5, 0)), #""escape_whitespaces" off is not supported"#),
      (field(2, field(3, 2) + [24 << 3 & 0x7f | 0x80, 1, 1]) + plain, #""treat_whitespace_as_suffix""#),
      (bpe + plain + field(1, field(1, Array("b".utf8)) + field(3, 5)), #"the unused piece "b""#),
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

  /// A map as the file has it: units of a double array, and texts.
  private func map(_ units: [UInt32], _ texts: String) -> [UInt8] {
    let trie = ([UInt32(4 * units.count)] + units).flatMap { unit in (0..<4).map { UInt8(unit >> (8 * $0) & 0xff) } }
    return trie + Array(texts.utf8)
  }

  /// "a" (0x61) is written as what `leaf` says: the root's children begin at unit 128, and those of "a" at 96.
  private func units(leaf: UInt32, label: UInt32 = 0x61) -> [UInt32] {
    var units = [UInt32](repeating: 0x8000_0000, count: 256)
    units[0] = 128 << 10
    let child = 128 ^ 0x61
    units[child] = UInt32(child ^ 96) << 10 | 1 << 8 | label
    units[96] = 0x8000_0000 | leaf
    return units
  }

  private func model(_ map: [UInt8]) -> [UInt8] {
    func long(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
      [number << 3 | 2, UInt8(bytes.count & 0x7f | 0x80), UInt8(bytes.count >> 7)] + bytes
    }
    let pieces = ["<unk>", "▁", "b", "c"].enumerated().flatMap { index, text in
      field(1, field(1, Array(text.utf8)) + (index == 0 ? field(3, 2) : []))
    }
    return pieces + field(2, field(3, 2)) + long(3, long(2, map) + field(3, 0) + field(4, 0))
  }

  /// What leads out of the array, to no text, into the midst of a character or round and round is refused, or no rule.
  @Test func mapsAreReadAndCheckedBeforeTheyAreUsed() throws {
    func ids(_ map: [UInt8]) throws -> [Int32] {
      try withFolder([:]) { place in
        try writeAtomically(model(map), to: place + "/tokenizer.model")
        return try Tokenizer(folder: place).makeEncoder().encode("a b")
      }
    }
    #expect(try ids(map(units(leaf: 0), "bc\0")) == [2, 3, 1, 2])
    #expect(try ids(map(units(leaf: 2), "x\0\0")) == [1, 2])
    #expect(try ids(map(units(leaf: 2, label: 0x62), "x\0\0")) == [0, 1, 2])
    var loop = units(leaf: 0)
    loop[128 ^ 0x61] = UInt32((128 ^ 0x61) ^ 128) << 10 | 0x61
    #expect(try ids(map(loop, "x\0")) == [0, 1, 2])
    var out = units(leaf: 0)
    out[0] = 1 << 30
    #expect(try ids(map(out, "x\0")) == [0, 1, 2])
    out = units(leaf: 0)
    out[128 ^ 0x61] |= 1 << 30
    for (bytes, message) in [
      (map(units(leaf: 3), "bc\0"), "leads to no text"), (map(units(leaf: 1), "é\0"), "leads to no text"),
      (map(units(leaf: 0), String(repeating: "b", count: 300) + "\0"), "leads to no text"),
      (map(out, "x\0"), "leads to no text"),
      (map(units(leaf: 0), "bc"), "holds texts that are no UTF-8"), (map(units(leaf: 0), "b") + [0xff, 0], "no UTF-8"),
      (map([], "x\0"), "is cut short"), (map(units(leaf: 0), ""), "is cut short"),
      (Array(map(units(leaf: 0), "b\0").prefix(200)), "is cut short"),
    ] {
      let error = try error(model(bytes))
      #expect(error.kind == .badData && error.message.contains(message), "\(error)")
    }
  }

  /// What goes on from other text has no space of its own before it, and keeps the one that it begins with.
  @Test func textThatGoesOnIsNotBegunAnew() throws {
    let tokenizer = try fixture("sentencepiece-mapped")
    let encoder = tokenizer.makeEncoder()
    let prompt = encoder.encode("the")
    func after(_ text: String) -> [Int32] {
      var ids: [Int32] = []
      encoder.encode([TextPiece(text: text, recognisesSpecialTokens: false)], after: prompt.last, into: &ids)
      return ids
    }
    #expect(try tokenizer.decode(prompt + after(" answer ")) == "the answer")
    #expect(try tokenizer.decode(prompt + after("answer")) == "theanswer")
  }

  /// Wherever the file is cut, and whatever byte of its first pieces is changed: an error or a tokenizer, never a trap.
  @Test(arguments: names) func brokenFiles(_ name: String) throws {
    let whole = try readFile(fixturePath(name) + "/tokenizer.model")
    for cut in stride(from: 1, to: whole.count, by: 997) { #expect(try error(Array(whole[..<cut])).kind == .badData) }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<40 {
      var bytes = whole
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
      try withFolder([:]) { place in
        try writeAtomically(bytes, to: place + "/tokenizer.model")
        do { _ = try Tokenizer(folder: place).makeEncoder().encode("Ａｶﾞ the  answer▁▁ é") } catch let error as SFTError {
          #expect(error.kind == .badData)
        }
      }
    }
  }
}
