import Files
import Testing
import Tokenizing

/// KoGPT2 comes as a `tokenizer.json` alone: its card passes the special tokens' names by hand. The fixture is such a
/// folder, with a small vocabulary of the same kind.
@Suite struct KoGPT2Tests {
  private let folder = fixturePath("pipelines/kogpt2")

  @Test func endsTextsAsItsCardSays() throws {
    let tokenizer = try Tokenizer(folder: folder)
    #expect(tokenizer.endOfText == 1 && tokenizer.endTokens == [1])
    #expect(try tokenizer.decode([1], skipSpecialTokens: false) == "</s>")
    // Nothing stands around its texts.
    #expect(tokenizer.beginning.isEmpty && tokenizer.ending.isEmpty)
    #expect(tokenizer.begin([7]) == [7])
  }

  /// The file may list none of them as special, nor any other.
  @Test func theUsualNamesAreSpecialWhereNoFileNamesAny() throws {
    let text = try fileText(folder + "/tokenizer.json")
    let start = try #require(text.firstRange(of: #""added_tokens""#)).upperBound
    let list = try #require(text[start...].firstRange(of: "]"))
    let bare = text[..<start] + ": [" + text[list.lowerBound...]
    func special(_ others: [String: String]) throws -> [String: Int32] {
      try withFolder(others.merging(["tokenizer.json": String(bare)]) { $1 }) {
        let tokenizer = try Tokenizer(folder: $0)
        #expect(tokenizer.endOfText == 1)
        return tokenizer.specialTokens
      }
    }
    #expect(try special([:]) == ["<s>": 0, "</s>": 1, "<pad>": 3, "<unk>": 5, "<mask>": 6])
    // A file that names some is believed.
    #expect(
      try special(["tokenizer_config.json": #"{"eos_token": "</s>", "sep_token": "<sys>"}"#]).keys.sorted()
        == ["</s>", "<sys>"])
  }

  /// Spaces become visible, one stands before every text, characters take their compatible forms, and what has no token is
  /// the unknown one.
  @Test func textIsCutAsSentencePieceCutsIt() throws {
    let tokenizer = try Tokenizer(folder: folder)
    let encoder = tokenizer.makeEncoder()
    #expect(encoder.encode("Ａ") == encoder.encode("A") && encoder.encode("A") == encoder.encode(" A"))
    #expect(encoder.encode("\u{1f9d1}").last == 5)
    #expect(try tokenizer.decode(encoder.encode("안녕"), skipSpecialTokens: true) == "안녕")
    #expect(encoder.encode("</s>").contains(1) == false)
  }
}
