import Core
import Testing
import Tokenizing

@Suite struct DecodingTests {
  @Test func streamingEqualsBatchForEverySplit() throws {
    let tokenizer = try fixture("gpt2")
    let text = "Below 한국어 👩🏽‍🚀 naïve e\u{301} \u{10ffff}\0\r\n the"
    // One token a byte, so that every character is split.
    let encoder = tokenizer.makeEncoder()
    let bytes = try (0..<256).map { byte in
      try #require((0..<Int32(tokenizer.vocabularyCount)).first { tokenizer.token($0) == [UInt8(byte)] })
    }
    for ids in [encoder.encode(text), text.utf8.map { bytes[Int($0)] }] {
      #expect(try tokenizer.decode(ids) == text)
      for split in 0...ids.count {
        var decoder = tokenizer.makeDecoder(skipSpecialTokens: true)
        var streamed = ""
        for id in ids[..<split] { streamed += try decoder.push(id) }
        // Only whole characters have come out, and all that are whole.
        #expect(text.utf8.starts(with: streamed.utf8))
        #expect(try tokenizer.decode(Array(ids[..<split])).utf8.count - streamed.utf8.count <= 3)
        for id in ids[split...] { streamed += try decoder.push(id) }
        #expect(streamed == text)
        #expect(decoder.finish() == "")
      }
    }
  }

  @Test func brokenBytesBecomeReplacementCharacters() throws {
    let tokenizer = try fixture("gpt2")
    let count = Int32(tokenizer.vocabularyCount)
    let single = (0..<count).filter { tokenizer.token($0)?.count == 1 }
    var random = SeededGenerator(seed: 4)
    for _ in 0..<2000 {
      let ids = (0..<random.below(9)).map { _ in single[random.below(single.count)] }
      let bytes = ids.flatMap { tokenizer.token($0) ?? [] }
      var decoder = tokenizer.makeDecoder(skipSpecialTokens: true)
      var streamed = ""
      for id in ids { streamed += try decoder.push(id) }
      streamed += decoder.finish()
      #expect(streamed == String(decoding: bytes, as: UTF8.self))
      #expect(try tokenizer.decode(ids) == streamed)
    }
  }

  @Test func specialTokensAreSkippedOnlyWhereAsked() throws {
    let tokenizer = try fixture("gpt2")
    let end = try #require(tokenizer.endOfText)
    let ids = tokenizer.makeEncoder().encode("the") + [end]
    #expect(try tokenizer.decode(ids) == "the")
    #expect(try tokenizer.decode(ids, skipSpecialTokens: false) == "the<|endoftext|>")
    var decoder = tokenizer.makeDecoder(skipSpecialTokens: false)
    #expect(try decoder.push(end) == "<|endoftext|>")
  }

  @Test(arguments: [-1, 100_000, Int32.max, Int32.min]) func unknownIDs(id: Int32) throws {
    let tokenizer = try fixture("gpt2")
    #expect(throws: SFTError.self) { try tokenizer.decode([id]) }
    var decoder = tokenizer.makeDecoder(skipSpecialTokens: true)
    do {
      _ = try decoder.push(id)
      Issue.record("decoded \(id)")
    } catch let error as SFTError {
      #expect(error.kind == .badData)
      #expect(error.message.contains("token id \(id) "))
    }
    #expect(decoder.finish() == "")
  }
}
