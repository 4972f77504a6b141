import Core
import Files
import Testing
import Tokenizing

/// What is not supported or broken is refused by name.
@Suite struct RefusalTests {
  struct Change: Sendable, CustomTestStringConvertible {
    var from: String
    var to: String
    var message: String
    var testDescription: String { message }
  }

  static let regex = #"{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false}"#
  static let byteLevel =
    #""pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#

  static let changes = [
    Change(
      from: #""type":"BPE""#, to: #""type":"WordPiece""#, message: #"the tokenizer model "WordPiece" is not supported"#),
    Change(
      from: #""type":"BPE""#, to: #""type":"Unigram""#, message: #"the tokenizer model "Unigram" is not supported"#),
    Change(from: #""dropout":null"#, to: #""dropout":0.1"#, message: #""dropout" 0.1 is not supported"#),
    Change(
      from: #""continuing_subword_prefix":null"#, to: ###""continuing_subword_prefix":"##""###,
      message: ###""continuing_subword_prefix" "##" is not supported"###),
    Change(
      from: #""end_of_word_suffix":null"#, to: #""end_of_word_suffix":"</w>""#,
      message: #""end_of_word_suffix" "</w>" is not supported"#),
    Change(
      from: #""byte_fallback":false"#, to: #""byte_fallback":"yes""#,
      message: #"its "byte_fallback" is not true or false"#),
    Change(
      from: #""normalizer":null"#, to: #""normalizer":{"type":"Sequence","normalizers":[{"type":"Lowercase"}]}"#,
      message: #"the normalizer "Lowercase" is not supported"#),
    Change(
      from: #""normalizer":null"#, to: #""normalizer":{"type":"Precompiled","precompiled_charsmap":""}"#,
      message: #"the normalizer "Precompiled" is not supported"#),
    Change(
      from: #""normalizer":null"#, to: #""normalizer":{"type":"Replace","pattern":{"Regex":" +"},"content":"x"}"#,
      message: #"the normalizer "Replace" without a "String" pattern is not supported"#),
    Change(
      from: #""normalizer":null"#, to: #""normalizer":{"type":"Prepend"}"#, message: #"its "Prepend" has no "prepend""#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":null"#, message: #"the decoder "ByteLevel" is not supported"#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":{"type":"Metaspace"}"#, message: #"its "Metaspace" has no "replacement""#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":{"type":"Metaspace","replacement":"ab"}"#,
      message: #"the "replacement" of its "Metaspace" is not one character"#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}"#,
      message: #"the "prepend_scheme" of its "Metaspace" is not always, first or never"#),
    Change(
      from: byteLevel,
      to: #""pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","add_prefix_space":false}"#,
      message: #"contradicts its "add_prefix_space""#),
    Change(
      from: byteLevel,
      to: #""pre_tokenizer":{"type":"Sequence","pretokenizers":[\#(regex),{"type":"ByteLevel","use_regex":false}]}"#,
      message: #"the pre-tokenizer "Split" with the regular expression \w+ is not supported"#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"Kept"}"#,
      message: #"the pre-tokenizer "Split" with the behavior "Kept" is not supported"#),
    Change(
      from: byteLevel, to: #""pre_tokenizer":{"type":"Split","behavior":"Isolated"}"#,
      message: #"its "Split" has neither a "String" nor a "Regex" pattern"#),
    Change(
      from: byteLevel,
      to: #""pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"ByteLevel"}]}"#,
      message: #"the pre-tokenizer "Whitespace" is not supported"#),
    Change(
      from: byteLevel,
      to: #""pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}"#,
      message: #"a pre-tokenizer after "ByteLevel" is not supported"#),
    Change(
      from: #""decoder":{"type":"ByteLevel""#, to: #""decoder":{"type":"WordPiece""#,
      message: #"the decoder "WordPiece" of byte-level tokens is not supported"#),
    Change(
      from: #""post_processor":null"#, to: #""post_processor":{"type":"BertProcessing"}"#,
      message: #"the post-processor "BertProcessing" is not supported"#),
    Change(
      from: #""single_word":false"#, to: #""single_word":true"#,
      message: #""single_word" of the added token "<|endoftext|>" is not supported"#),
    Change(from: #""vocab":{"#, to: #""vocab":{"xyz":1.5,"#, message: #"the id of the token "xyz" is not an integer"#),
    Change(from: #""vocab":{"#, to: #""vocab":{"xyz":-1,"#, message: #"the id -1 of the token "xyz" is out of range"#),
    Change(from: #""vocab":{"#, to: #""vocab":{"xyz":99999999,"#, message: "out of range"),
    Change(from: #""vocab":{"#, to: #""vocab":{"xyz":0,"#, message: "the id 0 is given to two tokens"),
    Change(from: #""z":"#, to: #""xyz":"#, message: #"no token "z" for the byte 122"#),
    Change(
      from: #""merges":["#, to: #""merges":[["q","!"],"#,
      message: #"needs the token "q!", which is not in the vocabulary"#),
    Change(from: #""merges":["#, to: #""merges":["q","#, message: "merge 1 is not a pair of tokens"),
    Change(from: #""merges":["#, to: #""merges":[["a","b","c"],"#, message: "merge 1 is not a pair of tokens"),
    Change(from: #""merges":"#, to: #""merged":"#, message: #"its model has no "merges" array"#),
    Change(
      from: #""ignore_merges":false"#, to: #""ignore_merges":1"#, message: #"its "ignore_merges" is not true or false"#),
    Change(from: #""special":true"#, to: #""special":"yes""#, message: #"its "special" is not true or false"#),
    Change(from: #""vocab":"#, to: #""words":"#, message: #"its model has no "vocab" object"#),
    Change(from: #""model":"#, to: #""modal":"#, message: #"has no "model""#),
    Change(
      from: #","content":"<|endoftext|>""#, to: "",
      message: #"an entry of its added tokens lacks its "content" or "id""#),
    Change(
      from: #"<|endoftext|>","single_word""#, to: #"!","single_word""#, message: #"the added token "!" has the id"#),
  ]

  @Test(arguments: changes) func refuses(change: Change) throws {
    let text = try fileText(fixturePath("gpt2") + "/tokenizer.json")
    let changed = text.replacing(change.from, with: change.to, maxReplacements: 1)
    try #require(changed != text, "the fixture does not hold \(change.from)")
    let error = try loadingError(["tokenizer.json": changed])
    #expect(error.kind == .badData)
    #expect(error.message.contains(change.message), "\(error)")
    #expect(error.file?.hasSuffix("/tokenizer.json") == true)
  }

  /// What only a tokenizer over characters has, in one of that kind.
  @Test(arguments: [
    Change(
      from: #""unk_token": "<unk>""#, to: #""unk_token": "<un>""#, message: #"its "unk_token" "<un>" is not in the"#),
    Change(from: #""start": 1"#, to: #""start": -1"#, message: #"its decoder "Strip" is not of one character"#),
    Change(from: #""type": "Fuse""#, to: #""type": "CTC""#, message: #"the decoder "CTC" is not supported"#),
    Change(
      from: #""type": "Strip","#, to: #""type": "Replace", "pattern": {"String": "ab"},"#,
      message: #"the decoder "Replace" of several characters after "Fuse" is not supported"#),
    Change(from: #""type": "ByteFallback""#, to: #""type": "ByteLevel""#, message: #"the decoder "ByteLevel" is not"#),
  ])
  func refusesInPipelines(change: Change) throws {
    let text = try fileText(fixturePath("pipelines/llama2") + "/tokenizer.json")
    let changed = text.replacing(change.from, with: change.to, maxReplacements: 1)
    try #require(changed != text, "the fixture does not hold \(change.from)")
    let error = try loadingError(["tokenizer.json": changed])
    #expect(error.kind == .badData)
    #expect(error.message.contains(change.message), "\(error)")
  }

  @Test func brokenJSON() throws {
    let text = try fileText(fixturePath("gpt2") + "/tokenizer.json")
    for content in ["", "{", "[]", "null", String(text.prefix(text.count / 2)), text + "x"] {
      let error = try loadingError(["tokenizer.json": content])
      #expect(error.kind == .badData)
      #expect(error.file?.hasSuffix("/tokenizer.json") == true, "\(error)")
    }
  }

  @Test func nothingThere() throws {
    let error = try loadingError([:])
    #expect(error.kind == .notFound)
    #expect(
      error.message
        == "has no tokenizer: neither tokenizer.json nor vocab.json with merges.txt nor tokenizer.model is there")
    #expect(throws: SFTError.self) { try Tokenizer(folder: "/nonexistent") }
    #expect(try loadingError(["vocab.json": "{}"]).message.contains("merges.txt"))
    #expect(try loadingError(["merges.txt": ""]).message.contains("vocab.json"))
  }

  @Test func truncatedMerges() throws {
    let vocabulary = try fileText(fixturePath("gpt2-files") + "/vocab.json")
    let merges = Array(try fileText(fixturePath("gpt2-files") + "/merges.txt").utf8)
    // Wherever the file is cut, short of its last line break: inside a line or at its end.
    for cut in stride(from: 0, to: merges.count - 1, by: 7) {
      let part = String(decoding: merges[..<cut], as: UTF8.self)
      let error = try loadingError(["vocab.json": vocabulary, "merges.txt": part])
      #expect(error.kind == .badData)
      #expect(error.file?.hasSuffix("/merges.txt") == true, "\(error)")
    }
  }

  @Test func brokenMergeLines() throws {
    let vocabulary = try fileText(fixturePath("gpt2-files") + "/vocab.json")
    let error = try loadingError(["vocab.json": vocabulary, "merges.txt": "#version: 0.2\nt h\nt h e\n"])
    #expect(error.line == 3)
    #expect(error.message == "is not two tokens with a space between them")
    let other = try loadingError(["vocab.json": vocabulary, "merges.txt": "#version: 0.2\nq !\n"])
    #expect(other.line == 2)
    #expect(other.message.contains(#"needs the token "q!""#))
    #expect(try loadingError(["vocab.json": #"{"a":"b"}"#, "merges.txt": ""]).message.contains("not an integer"))
  }
}
