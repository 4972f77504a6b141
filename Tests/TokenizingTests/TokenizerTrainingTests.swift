import Core
import Files
import JSON
import Testing
import Tokenizing

/// Training a tokenizer: Hugging Face's merges, and what is read back from the folder.
@Suite struct TokenizerTrainingTests {
  static func train(
    _ files: [String], _ size: Int, minimum: Int = 2, threads: Int = 2
  ) throws -> TrainedTokenizer {
    try TrainedTokenizer(
      training: files.map { fixturePath("bpe/" + $0) }, vocabularySize: size, minimumCount: minimum, threads: threads)
  }

  @Test func mergesAreHuggingFaces() throws {
    let cases = try #require(try parseJSONFile(fixturePath("bpe/merges.json")).array)
    #expect(cases.count == 6)
    for expected in cases {
      let files = (expected["files"]?.array ?? []).compactMap(\.string)
      let size = try #require(expected["vocab_size"]?.int)
      let tokenizer = try Self.train(files, size, minimum: try #require(expected["min_frequency"]?.int))
      try withFolder([:]) { folder in
        try tokenizer.write(to: folder)
        let lines = try fileText(folder + "/merges.txt").split(separator: "\n").dropFirst()
        #expect(lines.count == expected["merges"]?.int)
        #expect(lines.suffix(3).map(String.init) == expected["last"]?.array?.compactMap(\.string))
        let text = lines.map { $0 + "\n" }.joined()
        #expect(
          Array(text.utf8).withUnsafeBytes { Digest(of: $0) }.hex == expected["sha256"]?.string, "\(files) \(size)")
      }
    }
  }

  /// The obvious way: count all pairs anew for each merge.
  @Test func mergesAreThoseOfCountingAnew() throws {
    let text = "ab abab aaa\nbaab caab cab aaaa\nabc\n"
    try withFolder(["text": text]) { folder in
      let size = 275
      let tokenizer = try TrainedTokenizer(
        training: [folder + "/text"], vocabularySize: size, minimumCount: 1, threads: 1)
      var words = text.split(separator: "\n").flatMap { line in
        line.split(separator: " ").enumerated().map { ($0.offset > 0 ? ["Ġ"] : []) + $0.element.map(String.init) }
      }
      // a, b, c and the space's stand-in are in this order among the bytes.
      var order = ["a", "b", "c", "Ġ"]
      var expected: [String] = []
      while true {
        var counts: [[String]: Int] = [:]
        for word in words { for pair in zip(word, word.dropFirst()) { counts[[pair.0, pair.1], default: 0] += 1 } }
        func rank(_ pair: [String]) -> [Int] { pair.map { order.firstIndex(of: $0) ?? -1 } }
        guard
          let best = counts.max(by: { a, b in
            a.value != b.value ? a.value < b.value : rank(b.key).lexicographicallyPrecedes(rank(a.key))
          })?.key
        else { break }
        expected.append(best.joined(separator: " "))
        order.append(best.joined())
        words = words.map { word in
          var merged: [String] = []
          for token in word {
            // From the left, and a token that is new here is not merged again.
            if merged.last == best[0], token == best[1] {
              merged[merged.count - 1] = best.joined()
            } else {
              merged.append(token)
            }
          }
          return merged
        }
      }
      try tokenizer.write(to: folder)
      let lines = try fileText(folder + "/merges.txt").split(separator: "\n").dropFirst().map(String.init)
      #expect(lines.count > 6 && lines == Array(expected.prefix(lines.count)))
      #expect(lines.count == min(expected.count, size - 257))
    }
  }

  @Test func theFolderIsATokenizer() throws {
    let tokenizer = try Self.train(["words.txt", "ties.txt"], 900)
    #expect(tokenizer.vocabularyCount == 900 && tokenizer.mergeCount == 900 - 257)
    try withFolder([:]) { folder in
      try tokenizer.write(to: folder, maximumLength: 64)
      let whole = try Tokenizer(folder: folder)
      #expect(whole.vocabularyCount == 900 && whole.endOfText == 0)
      #expect(whole.specialTokens == ["<|endoftext|>": 0])
      let config = try parseJSONFile(folder + "/tokenizer_config.json")
      #expect(config["model_max_length"]?.int == 64 && config["eos_token"]?.string == "<|endoftext|>")
      for text in try fixtureTexts() + ["日本🙂", "a\u{0}b", ""] {
        #expect(try whole.decode(whole.makeEncoder().encode(text)) == text)
      }
      try removeTree(folder + "/tokenizer.json")
      #expect(try Tokenizer(folder: folder).digest == whole.digest)
    }
  }

  @Test func threadsChangeNothing() throws {
    let texts = try [1, 2, 7].map { threads in
      try withFolder([:]) { folder in
        try Self.train(["ties.txt", "words.txt"], 700, threads: threads).write(to: folder)
        return try fileText(folder + "/tokenizer.json")
      }
    }
    #expect(texts[0] == texts[1] && texts[1] == texts[2])
  }

  @Test func badInput() throws {
    try withFolder(["empty": "", "mark": "\u{feff}", "good": "text\n"]) { folder in
      func error(_ file: String, _ size: Int = 300) -> SFTError? {
        #expect(throws: SFTError.self) {
          try TrainedTokenizer(training: [folder + "/good", folder + "/" + file], vocabularySize: size, threads: 1)
        }
      }
      #expect(error("empty")?.kind == .badData && error("mark")?.kind == .badData)
      #expect(error("none")?.kind == .notFound)
      #expect(error("good", 256)?.kind == .usage)
      #expect(
        try TrainedTokenizer(training: [folder + "/good"], vocabularySize: 257, threads: 1).vocabularyCount == 257)
      try writeAtomically(Array("one\ntwo\nthr".utf8) + [0xff, 0x0a], to: folder + "/bad")
      #expect(error("bad")?.line == 3 && error("bad")?.kind == .badData)
    }
  }

  /// Pieces for several threads give the ids of the whole.
  @Test func longTextsAreEncodedInPieces() throws {
    let tokenizer = try fixture("gpt2")
    let unit = try fileText(fixturePath("bpe/words.txt")) + "end\n\n  <|endoftext|>\tlast line\nfirst"
    let text = String(repeating: unit, count: 3_500_000 / unit.utf8.count)
    try withFolder(["text": text]) { folder in
      let pieces = try tokenizer.encode(PlainText(folder + "/text"), threads: 2)
      var whole: [Int32] = []
      tokenizer.makeEncoder().encode([TextPiece(text: text, recognisesSpecialTokens: true)], into: &whole)
      #expect(pieces == whole)
      #expect(whole.contains(try #require(tokenizer.endOfText)))
    }
  }
}
