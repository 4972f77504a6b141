import Core
import Files
import JSON
import TestSupport
import Testing
import Tokenizing

/// Tokenizers in llama.cpp's terms.
@Suite struct GGUFVocabularyTests {
  private static let tokenizers = parentPath(fixturesFolder) + "/TokenizingTests/Fixtures"

  private func vocabulary(
    _ folder: String, rows: Int = 200_000, conversational: Bool = false
  ) throws -> GGUFVocabulary {
    try GGUFVocabulary(folder: folder, rows: rows, conversational: conversational)
  }

  /// A folder with a `tokenizer.json` of these parts over the bytes' letters.
  private func withTokenizer<Result>(
    merges: [String] = ["a b", "ab c"], words: [String] = ["ab", "abc"], ignoresMerges: Bool = false,
    normalizer: String = "null", preTokenizers: String, added: String = "", _ body: (String) throws -> Result
  ) throws -> Result {
    let letters = (0x21...0x7e).compactMap { Unicode.Scalar($0).map { String(Character($0)) } }
    let texts = letters + ["Ġ", "Ċ"] + words
    let entries = texts.enumerated().map { "\(JSONValue.string($1).serialized): \($0)" }.joined(separator: ", ")
    let end = texts.count
    let json = """
      {"added_tokens": [{"id": \(end), "content": "<end>", "special": true, "normalized": false}\(added)],
       "normalizer": \(normalizer), "pre_tokenizer": {"type": "Sequence", "pretokenizers": [\(preTokenizers),
       {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}, "decoder": {"type": "ByteLevel"},
       "model": {"type": "BPE", "vocab": {\(entries)}, "ignore_merges": \(ignoresMerges),
       "merges": \(JSONValue.array(merges.map { .string($0) }).serialized)}}
      """
    return try withTemporaryFolder { folder in
      try writeAtomically(json, to: folder + "/tokenizer.json")
      try writeAtomically(#"{"eos_token": "<end>"}"#, to: folder + "/tokenizer_config.json")
      return try body(folder)
    }
  }

  private static func split(_ regex: String) -> String {
    """
    {"type": "Split", "pattern": {"Regex": \(JSONValue.string(regex).serialized)}, "behavior": "Isolated", "invert": false}
    """
  }

  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static func modern(_ numerals: String) -> String {
    split(#"\#(contractions)|[^\r\n\p{L}\p{N}]?\p{L}+|\#(numerals)|\#(rest)"#)
  }

  @Test func `what cuts text is called by llama.cpp's name of it`() throws {
    let three = Self.modern(#"\p{N}{1,3}"#)
    let one = Self.modern(#"\p{N}"#)
    for (parts, ignores, name) in [(three, false, "dbrx"), (three, true, "llama-bpe"), (one, false, "qwen2")] {
      let found = try withTokenizer(ignoresMerges: ignores, preTokenizers: parts) { try vocabulary($0).preTokenizer }
      #expect(found == name)
    }
    // Every word is what merging makes of it, so that it does not matter whether words are looked up.
    let either = try withTokenizer(ignoresMerges: true, preTokenizers: one) { try vocabulary($0).preTokenizer }
    #expect(either == "qwen2")
    for (folder, name) in [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("digits", "smollm")] {
      #expect(try vocabulary(Self.tokenizers + "/" + folder).preTokenizer == name, "\(folder)")
    }
  }

  @Test func `whole words that merging does not make are refused where llama.cpp does not look them up`() throws {
    let one = Self.modern(#"\p{N}"#)
    try withTokenizer(words: ["ab", "abc", "xyz"], ignoresMerges: true, preTokenizers: one) { folder in
      let error = #expect(throws: SFTError.self) { try vocabulary(folder) }
      #expect(error?.message.contains("\"ignore_merges\"") == true)
    }
  }

  @Test func `a cutting that llama.cpp does not know is refused`() throws {
    try withTokenizer(preTokenizers: Self.split(#"\p{N}{1,3}"#)) { folder in
      let error = #expect(throws: SFTError.self) { try vocabulary(folder) }
      #expect(error?.message == "its pre-tokenizer cuts text as no pre-tokenizer of llama.cpp does")
    }
    let error = #expect(throws: SFTError.self) { try vocabulary(Self.tokenizers + "/prefix") }
    #expect(error?.message.contains("writes a space before every text") == true)
  }

  @Test func `rows, added tokens and rows without a token have their kinds`() throws {
    let added = #", {"id": 99, "content": "<think>", "special": false, "normalized": false}"#
    try withTokenizer(
      normalizer: #"{"type": "NFC"}"#, preTokenizers: Self.modern(#"\p{N}"#), added: added
    ) { folder in
      let found = try vocabulary(folder, rows: 104)
      #expect(found.tokens.count == 104)
      #expect(found.tokens[0] == GGUFVocabulary.Token(text: "!", kind: .normal, score: 0))
      #expect(found.tokens[98].kind == .control)
      #expect(found.tokens[99] == GGUFVocabulary.Token(text: "<think>", kind: .userDefined, score: 0))
      #expect(found.tokens[103] == GGUFVocabulary.Token(text: "[PAD103]", kind: .unused, score: 0))
      #expect(found.merges == ["a b", "ab c"])
      #expect(found.ends == [98])
      #expect(found.beginning == nil)
      #expect(!found.addsBeginning)
      #expect(
        found.remarks == ["llama.cpp does not bring text to NFC, as this tokenizer does: give it text in that form"])
      // The added token's row is not there.
      let short = try vocabulary(folder, rows: 99)
      #expect(short.tokens.count == 99)
      #expect(short.remarks.last == "1 added token for which the model has no row is left out")
    }
  }

  @Test func `white space that tokens take along is told, but for Phi-3's`() throws {
    let added = #", {"id": 99, "content": "<|end|>", "special": true, "rstrip": true, "normalized": false}"#
    try withTokenizer(preTokenizers: Self.modern(#"\p{N}"#), added: added) { folder in
      let found = try vocabulary(folder)
      #expect(!found.stripsAsPhi3)
      #expect(found.remarks.contains { $0.contains("\"<|end|>\"") || $0.contains("'<|end|>'") })
    }
  }

  @Test func `SentencePiece's BPE has scores in the order of its merges`() throws {
    let found = try vocabulary(Self.tokenizers + "/sentencepiece-visible")
    #expect(found.model == .sentencePiece)
    #expect(found.preTokenizer == "default")
    #expect(found.merges.isEmpty)
    #expect(found.tokens.count { $0.kind == .byte } == 256)
    let made = found.tokens.filter { $0.kind == .normal && $0.text.unicodeScalars.count > 1 }
    #expect(!made.isEmpty)
    #expect(made.map(\.score) == made.map(\.score).sorted(by: >))
  }
}
