import Core
import Files
import Testing
import Tokenizing

/// What the files of a folder add up to: layouts, special tokens' names, digests.
@Suite struct FolderTests {
  private func load(_ files: [String: String]) throws -> Tokenizer {
    try withFolder(files) { try Tokenizer(folder: $0) }
  }

  private func gpt2() throws -> String { try fileText(fixturePath("gpt2") + "/tokenizer.json") }

  @Test func bothLayoutsAgree() throws {
    let whole = try fixture("gpt2")
    let pair = try fixture("gpt2-files")
    #expect(whole.digest == pair.digest)
    #expect(whole.vocabularyCount == pair.vocabularyCount)
    #expect(whole.specialTokens == pair.specialTokens)
    #expect(whole.endOfText == pair.endOfText)
    for text in try fixtureTexts() { #expect(whole.makeEncoder().encode(text) == pair.makeEncoder().encode(text)) }
  }

  @Test func mergesMayHaveWindowsLineEndsAndNoHeader() throws {
    let vocabulary = try fileText(fixturePath("gpt2-files") + "/vocab.json")
    let merges = try fileText(fixturePath("gpt2-files") + "/merges.txt")
    let windows = merges.replacing("\n", with: "\r\n")
    let bare = merges.replacing("#version: 0.2\n", with: "") + "\n\n"
    for text in [windows, bare] {
      #expect(try load(["vocab.json": vocabulary, "merges.txt": text]).digest == fixture("gpt2").digest)
    }
  }

  @Test func everyDifferenceShowsInTheDigest() throws {
    var digests = try fixtureNames.map { try fixture($0).digest }
    let text = try gpt2()
    for (from, to) in [
      (#""special":true"#, #""special":false"#), (#""rstrip":false"#, #""rstrip":true"#),
      (#""ignore_merges":false"#, #""ignore_merges":true"#),
      (#""vocab":{"#, #""vocab":{"xyzzy":900,"#),
    ] {
      let changed = text.replacing(from, with: to, maxReplacements: 1)
      try #require(changed != text)
      digests.append(try load(["tokenizer.json": changed]).digest)
    }
    #expect(Set(digests).count == digests.count)
  }

  @Test func theDigestIsOfTheMeaning() throws {
    let text = try gpt2()
    for (from, to) in [
      (#""normalized":false"#, #""normalized":true"#), (#""trim_offsets":true"#, #""trim_offsets":false"#),
      (#""dropout":null"#, #""dropout":0.0"#), (#""version":"1.0""#, #""version": "1.0""#),
    ] {
      let changed = text.replacing(from, with: to)
      try #require(changed != text)
      #expect(try load(["tokenizer.json": changed]).digest == fixture("gpt2").digest)
    }
  }

  /// The fixture "uncut" has its special token in another place of the file, and cuts nothing.
  @Test func theDigestIsNotOfTheFile() throws {
    let changed = try gpt2().replacing(#""use_regex":true"#, with: #""use_regex":false"#, maxReplacements: 1)
    #expect(try load(["tokenizer.json": changed]).digest == fixture("uncut").digest)
  }

  @Test func endOfTextFromTheFiles() throws {
    let text = try gpt2()
    func end(_ files: [String: String]) throws -> Int32? {
      try load(files.merging(["tokenizer.json": text]) { $1 }).endOfText
    }
    let usual = try fixture("gpt2").endOfText
    let the = try #require(fixture("gpt2").makeEncoder().encode("the").first)
    #expect(try end([:]) == usual)
    #expect(try end(["tokenizer_config.json": #"{"eos_token":"!"}"#]) == 0)
    #expect(try end(["tokenizer_config.json": #"{"eos_token":{"content":"!","lstrip":false}}"#]) == 0)
    #expect(try end(["tokenizer_config.json": #"{"eos_token":null}"#]) == usual)
    #expect(try end(["special_tokens_map.json": #"{"eos_token":"!"}"#, "config.json": #"{"eos_token_id":5}"#]) == 0)
    #expect(try end(["config.json": #"{"eos_token_id":5}"#, "generation_config.json": #"{"eos_token_id":6}"#]) == 5)
    #expect(try end(["generation_config.json": #"{"eos_token_id":[6,7]}"#]) == 6)
    #expect(try end(["config.json": #"{"eos_token_id":99999}"#]) == usual)
    #expect(try end(["config.json": #"{"eos_token_id":\#(the)}"#]) == the)
    let error = try loadingError(["tokenizer.json": text, "tokenizer_config.json": #"{"eos_token":"<eos>"}"#])
    #expect(error.message == "its eos_token \"<eos>\" is not in the vocabulary")
    #expect(error.file?.hasSuffix("/tokenizer_config.json") == true)
  }

  @Test func noEndOfText() throws {
    let text = try gpt2().replacing("<|endoftext|>", with: "<|other|>")
    #expect(try load(["tokenizer.json": text]).endOfText == nil)
  }

  @Test func brokenConfigurationIsNamed() throws {
    let text = try gpt2()
    for name in ["tokenizer_config.json", "special_tokens_map.json", "config.json", "generation_config.json"] {
      for content in ["{", "[]"] {
        let error = try loadingError(["tokenizer.json": text, name: content])
        #expect(error.kind == .badData)
        #expect(error.file?.hasSuffix("/" + name) == true)
      }
    }
  }

  /// A token that the configuration names is special even where tokenizer.json has it in the vocabulary only.
  @Test func namedTokensAreSpecial() throws {
    let tokenizer = try load([
      "tokenizer.json": try gpt2(), "tokenizer_config.json": #"{"pad_token":"!","mask_token":"<nowhere>"}"#,
    ])
    #expect(tokenizer.specialTokens["!"] == 0)
    #expect(tokenizer.isSpecial(0))
    #expect(tokenizer.specialTokens["<nowhere>"] == nil)
  }

  /// What older tools wrote beside vocab.json, and newer ones into tokenizer_config.json.
  @Test func addedTokensBesideTheVocabulary() throws {
    let files = [
      "vocab.json": try fileText(fixturePath("gpt2-files") + "/vocab.json"),
      "merges.txt": try fileText(fixturePath("gpt2-files") + "/merges.txt"),
    ]
    let next = try fixture("gpt2").vocabularyCount
    let pad = #"{"\#(next)":{"content":"<|pad|>","special":true,"normalized":false}}"#
    let others = [
      ["tokenizer_config.json": #"{"added_tokens_decoder":\#(pad)}"#],
      ["added_tokens.json": #"{"<|pad|>":\#(next)}"#, "special_tokens_map.json": #"{"pad_token":"<|pad|>"}"#],
    ]
    for other in others {
      let tokenizer = try load(files.merging(other) { $1 })
      #expect(tokenizer.vocabularyCount == next + 1)
      #expect(tokenizer.specialTokens["<|pad|>"] == Int32(next))
    }
    #expect(try load(files.merging(others[0]) { $1 }).digest == load(files.merging(others[1]) { $1 }).digest)
    let plain = try load(files.merging(["added_tokens.json": #"{"<|pad|>":\#(next)}"#]) { $1 })
    #expect(plain.makeEncoder().encode("<|pad|>") == [Int32(next)])
  }

  @Test func prefixSpaceFromTheConfiguration() throws {
    let config = #"{"add_prefix_space":true,"tokenizer_class":"GPT2Tokenizer"}"#
    let tokenizer = try load(["tokenizer.json": try gpt2(), "tokenizer_config.json": config])
    #expect(tokenizer.makeEncoder().encode("the") == (try fixture("gpt2")).makeEncoder().encode(" the"))
  }

  @Test func filesToCopy() throws {
    #expect(try Tokenizer.files(in: fixturePath("gpt2")) == ["tokenizer.json"])
    #expect(try Tokenizer.files(in: fixturePath("gpt2-files")) == ["merges.txt", "vocab.json"])
    #expect(try Tokenizer.files(in: "/nonexistent") == [])
  }
}
