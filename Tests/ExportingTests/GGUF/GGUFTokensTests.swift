import Core
import Exporting
import Files
import GGUF
import JSON
import Pipeline
import Templating
import TestSupport
import Testing
import Tokenizing

/// The tokenizer of a GGUF file cuts text as that of the folder it was written from.
@Suite struct GGUFTokensTests {
  private static let tokenizers = parentPath(fixturesFolder) + "/TokenizingTests/Fixtures"
  static let folders = ["digits", "gpt2", "gpt2-files", "gpt4", "llama3", "qwen2", "sentencepiece"]

  private static let awkward = [
    "", " ", "  two spaces\nand\n\n\nlines \t tabs ", "I'm don't WE'LL they've", "1234567 12 3.14", "über naïve 日本語 🙂",
    "<|im_start|>user\nHi<|im_end|>", "x=1;\r\n\r\n  y", "<s>[INST] a </s>", "<|endoftext|> a", "\u{1}\u{7f}",
  ]

  private func withFile<Result>(
    _ folder: String, _ change: (inout GGUFMetadata) -> Void = { _ in }, _ body: (Tokenizer, String) throws -> Result
  ) throws -> Result {
    let own = try Tokenizer(folder: folder)
    let vocabulary = try GGUFVocabulary(folder: folder, rows: own.vocabularyCount, conversational: false)
    var metadata = GGUFTokenizer(vocabulary, template: "{{ bos_token }}{{ eos_token }}").metadata
    change(&metadata)
    return try withTemporaryFolder { folder in
      try writeGGUF(metadata, [], to: folder + "/tokenizer.gguf")
      return try body(own, folder + "/tokenizer.gguf")
    }
  }

  private func ids(_ tokenizer: Tokenizer, _ text: String, special: Bool) -> [Int32] {
    var ids: [Int32] = []
    tokenizer.makeEncoder().encode([TextPiece(text: text, recognisesSpecialTokens: special)], into: &ids)
    return ids
  }

  @Test(arguments: folders) func `ids and texts are the same`(_ name: String) throws {
    let texts = try parseJSONFile(Self.tokenizers + "/texts.json").array?.compactMap(\.string) ?? []
    try withFile("\(Self.tokenizers)/\(name)") { own, path in
      let read = try Tokenizer(folder: path)
      for text in texts + Self.awkward {
        for special in [true, false] {
          let expected = ids(own, text, special: special)
          #expect(ids(read, text, special: special) == expected, "\(text.debugDescription)")
          #expect(try read.decode(expected) == own.decode(expected))
        }
      }
      #expect(read.endOfText == own.endOfText)
      #expect(read.beginning == own.beginning && read.ending == own.ending)
      // What SentencePiece's files say beside the pieces is not kept.
      if name != "sentencepiece" { #expect(read.digest == own.digest) }
    }
  }

  @Test func `other names of one way of cutting text are known`() throws {
    let names = [
      ("gpt2", "exaone4"), ("digits", "exaone"), ("llama3", "llama3"), ("gpt4", "smaug-bpe"), ("qwen2", "megrez"),
    ]
    for (folder, name) in names {
      try withFile("\(Self.tokenizers)/\(folder)", { $0["tokenizer.ggml.pre"] = .string(name) }) { own, path in
        let read = try Tokenizer(folder: path)
        #expect(read.digest == own.digest)
      }
    }
  }

  @Test func `what begins a text goes by the name where no key says so`() throws {
    for (name, begins) in [("llama-bpe", true), ("glm4", false)] {
      let folder = Self.tokenizers + "/llama3"
      try withFile(
        folder,
        { metadata in
          metadata["tokenizer.ggml.pre"] = .string(name)
          metadata["tokenizer.ggml.add_bos_token"] = nil
          metadata["tokenizer.ggml.bos_token_id"] = .uint32(0)
        }
      ) { _, path in
        let read = try Tokenizer(folder: path)
        #expect(read.beginning == (begins ? [0] : []))
      }
    }
  }

  @Test func `a model that is named Phi-3 strips what follows its special tokens`() throws {
    try withFile(Self.tokenizers + "/gpt4", { $0["general.name"] = .string("My Phi-3") }) { own, path in
      let read = try Tokenizer(folder: path)
      let end = try #require(own.endOfText)
      let text = try own.decode([end], skipSpecialTokens: false)
      let strips = text != "<|endoftext|>"
      #expect(
        ids(read, text + "  a", special: true)
          == (strips ? [end] + ids(own, "a", special: true) : ids(own, text + "  a", special: true)))
    }
  }

  @Test func `the chat template and the special tokens that it names are read`() throws {
    try withFile(
      Self.tokenizers + "/gpt2", { $0["tokenizer.chat_template.tool_use"] = .string("{{ eos_token }}") }
    ) { own, path in
      let template = try #require(try ChatTemplate.of(folder: path))
      #expect(template.sources.map(\.name).sorted() == ["default", "tool_use"])
      let end = try own.decode([try #require(own.endOfText)], skipSpecialTokens: false)
      #expect(template.specialTokens["eos_token"] == end)
    }
  }
}
