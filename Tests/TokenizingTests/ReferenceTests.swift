import Core
import Testing
import Tokenizing

/// The fast encoder against `PlainTokenizer` on seeded random texts.
@Suite struct ReferenceTests {
  @Test(arguments: [("gpt2", nil), ("gpt4", 3), ("qwen2", 1)] as [(String, Int?)])
  func equalsThePlainReading(name: String, digits: Int?) throws {
    let plain = try PlainTokenizer(folder: fixturePath(name), digits: digits)
    let encoder = try fixture(name).makeEncoder()
    var random = SeededGenerator(seed: 1)
    for _ in 0..<600 {
      let text = random.text()
      #expect(encoder.encode(text) == plain.encode(text), "\(text.debugDescription)")
    }
  }

  @Test func whatWasEncodedBeforeDoesNotMatter() throws {
    let tokenizer = try fixture("gpt2")
    let used = tokenizer.makeEncoder()
    var random = SeededGenerator(seed: 2)
    for _ in 0..<300 {
      let text = random.text()
      #expect(used.encode(text) == tokenizer.makeEncoder().encode(text))
      #expect(used.encode(text) == tokenizer.makeEncoder().encode(text))
    }
  }

  @Test func decodesToTheTextThatWasEncoded() throws {
    var random = SeededGenerator(seed: 3)
    for name in ["gpt2", "llama3", "digits", "uncut"] {
      let tokenizer = try fixture(name)
      let encoder = tokenizer.makeEncoder()
      for _ in 0..<200 {
        let text = random.text()
        #expect(Array(try tokenizer.decode(encoder.encode(text)).utf8) == Array(text.utf8))
      }
    }
  }

  @Test func severalThreadsShareATokenizer() throws {
    let tokenizer = try fixture("gpt2")
    let texts = try fixtureTexts()
    let expected = texts.map { tokenizer.makeEncoder().encode($0) }
    let found = try parallelMap(Array(0..<8), threads: 4) { _ in
      let encoder = tokenizer.makeEncoder()
      return texts.map { encoder.encode($0) }
    }
    for ids in found { #expect(ids == expected) }
  }

  /// "é" is an added token of one fixture, which decodes to the byte that it stands for in the byte alphabet.
  ///
  /// A megabyte that is one word, or a million words: a quadratic step anywhere would take minutes.
  @Test(
    .timeLimit(.minutes(1)),
    arguments: [
      "a", " ", "\n", "-", " \n", "é", "thea", "<|endoftext", "👩🏽‍🚀", "\u{3000}", "1", "'", "'s", "<|endoftext|>",
    ])
  func longTexts(unit: String) throws {
    let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
    for name in ["gpt2", "llama3", "added"] where name != "added" || unit != "é" {
      let tokenizer = try fixture(name)
      let encoder = tokenizer.makeEncoder()
      let ids = encoder.encode(text)
      #expect(try tokenizer.decode(ids, skipSpecialTokens: false).utf8.elementsEqual(text.utf8))
      var special: [Int32] = []
      encoder.encode([TextPiece(text: text, recognisesSpecialTokens: true)], into: &special)
      #expect(try tokenizer.decode(special, skipSpecialTokens: false).utf8.elementsEqual(text.utf8))
    }
  }
}
