import Core
import Testing
import Tokenizing

@Suite struct SpecialTokenTests {
  private func encode(_ pieces: [(String, Bool)], _ tokenizer: Tokenizer) -> [Int32] {
    var ids: [Int32] = []
    tokenizer.makeEncoder().encode(pieces.map { TextPiece(text: $0.0, recognisesSpecialTokens: $0.1) }, into: &ids)
    return ids
  }

  @Test func onlyInPiecesThatRecogniseThem() throws {
    let tokenizer = try fixture("gpt2")
    let end = try #require(tokenizer.specialTokens["<|endoftext|>"])
    let plain = tokenizer.makeEncoder().encode("<|endoftext|>")
    #expect(plain.count > 1)
    #expect(encode([("<|endoftext|>", true)], tokenizer) == [end])
    #expect(encode([("<|endoftext|>", false)], tokenizer) == plain)
    #expect(encode([("<|endoftext|>", false), ("<|endoftext|>", true)], tokenizer) == plain + [end])
    #expect(encode([("<|endoftext|>", true), ("<|endoftext|>", false)], tokenizer) == [end] + plain)
  }

  @Test func neverAcrossPieces() throws {
    let tokenizer = try fixture("gpt2")
    let plain = tokenizer.makeEncoder().encode("<|endoftext|>")
    for first in [true, false] {
      for second in [true, false] {
        #expect(encode([("<|endof", first), ("text|>", second)], tokenizer) == plain)
      }
    }
    // A field that ends like the beginning of a special token does not hide the literal's.
    let end = try #require(tokenizer.specialTokens["<|endoftext|>"])
    #expect(encode([("<|endoftext|", false), ("<|endoftext|>", true)], tokenizer).last == end)
  }

  @Test func piecesAreOneText() throws {
    let tokenizer = try fixture("gpt2")
    let whole = "Below is an instruction that describes a task.\n\n  ### Response:\n한국어 don't"
    let expected = tokenizer.makeEncoder().encode(whole)
    let scalars = Array(whole.unicodeScalars)
    for cut in 0...scalars.count {
      let left = String(String.UnicodeScalarView(scalars[..<cut]))
      let right = String(String.UnicodeScalarView(scalars[cut...]))
      #expect(encode([(left, true), ("", true), (right, false)], tokenizer) == expected)
    }
    #expect(encode([], tokenizer) == [])
    #expect(encode([("", true), ("", false)], tokenizer) == [])
  }

  @Test func appendsToWhatIsThere() throws {
    var ids: [Int32] = [7, 8]
    let tokenizer = try fixture("gpt2")
    tokenizer.makeEncoder().encode([TextPiece(text: "the", recognisesSpecialTokens: false)], into: &ids)
    #expect(ids == [7, 8] + tokenizer.makeEncoder().encode("the"))
  }

  /// Tokens that are added but not special are text to Hugging Face too: found everywhere.
  @Test func addedTokensThatAreNotSpecial() throws {
    let tokenizer = try fixture("added")
    #expect(tokenizer.makeEncoder().encode("<tool>").count == 1)
    #expect(tokenizer.specialTokens["<tool>"] == nil)
    #expect(tokenizer.specialTokens.count == 4)
    let id = try #require(tokenizer.makeEncoder().encode("<tool>").first)
    #expect(!tokenizer.isSpecial(id))
    #expect(try tokenizer.decode([id]) == "<tool>")
  }

  @Test func tokensByID() throws {
    let tokenizer = try fixture("gpt2")
    let end = try #require(tokenizer.endOfText)
    #expect(tokenizer.isSpecial(end))
    #expect(tokenizer.token(end) == Array("<|endoftext|>".utf8))
    #expect(Int(end) == tokenizer.vocabularyCount - 1)
    #expect(tokenizer.token(-1) == nil)
    #expect(tokenizer.token(end + 1) == nil)
    #expect(tokenizer.token(.max) == nil)
    let space = try #require(tokenizer.makeEncoder().encode(" ").first)
    #expect(tokenizer.token(space) == [0x20])
  }
}
