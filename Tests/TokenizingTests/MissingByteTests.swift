import Testing
import Tokenizing

/// Vocabularies without tokens for control characters and the like, as SmolLM2's: `tokenizers` leaves such bytes out.
@Suite struct MissingByteTests {
  /// A fixture whose tokens for the bytes 4 and 6 have other names.
  private func withMissing<Result>(_ change: (String) -> String = { $0 }, _ body: (Tokenizer) throws -> Result) throws
    -> Result
  {
    let text = change(try fileText(fixturePath("gpt2") + "/tokenizer.json"))
    let lacking = text.replacing(#""Ą":"#, with: #""xĄ":"#).replacing(#""Ć":"#, with: #""xĆ":"#)
    return try withFolder(["tokenizer.json": lacking]) { try body(Tokenizer(folder: $0)) }
  }

  @Test func theyAreLeftOutOfWords() throws {
    let whole = try fixture("gpt2").makeEncoder()
    try withMissing { tokenizer in
      let encoder = tokenizer.makeEncoder()
      // Twice: the second time words come from the cache.
      for _ in 0..<2 {
        #expect(encoder.encode("a\u{4}b") == whole.encode("a") + whole.encode("b"))
        #expect(encoder.encode("\u{4}\u{6}") == [])
        #expect(encoder.encode(String(repeating: "\u{6}", count: 50)) == [])
        // What stands around them in one word merges.
        #expect(encoder.encode("#\u{4}#\u{6}#") == whole.encode("###"))
        let long = String(repeating: "#\u{4}", count: 40)
        #expect(encoder.encode(long) == whole.encode(String(repeating: "#", count: 40)))
        #expect(encoder.encode("\u{5}") == whole.encode("\u{5}"))
      }
    }
  }

  @Test func aTokenInTheirPlace() throws {
    let whole = try fixture("gpt2")
    let end = try #require(whole.endOfText)
    let a = whole.makeEncoder().encode("a")
    for fuses in [false, true] {
      try withMissing({
        $0.replacing(#""unk_token":null"#, with: #""unk_token":"<|endoftext|>""#)
          .replacing(#""fuse_unk":false"#, with: "\"fuse_unk\":\(fuses)")
      }) { tokenizer in
        let expected = a + (fuses ? [end] : [end, end]) + a
        #expect(tokenizer.makeEncoder().encode("a\u{4}\u{6}a") == expected)
      }
    }
  }

  @Test func theyAreCounted() throws {
    #expect(try !fixture("gpt2").losesBytes && fixture("gpt2").lostBytes(of: "a\u{4}") == 0)
    try withMissing { tokenizer in
      #expect(tokenizer.losesBytes)
      #expect(tokenizer.lostBytes(of: "a\u{4}b\u{6}\u{6} \u{5}") == 3 && tokenizer.lostBytes(of: "ab") == 0)
    }
    try withMissing({ $0.replacing(#""unk_token":null"#, with: #""unk_token":"<|endoftext|>""#) }) { tokenizer in
      #expect(!tokenizer.losesBytes && tokenizer.lostBytes(of: "\u{4}") == 0)
    }
  }
}
