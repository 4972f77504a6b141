import Core
import Files
import GGUF

/// A piece of a text that is encoded as a whole.
public struct TextPiece: Sendable, Equatable {
  public var text: String
  /// Special tokens that lie wholly inside this piece become their ids. False for what a user or a data set wrote.
  public var recognisesSpecialTokens: Bool

  public init(text: String, recognisesSpecialTokens: Bool) {
    self.text = text
    self.recognisesSpecialTokens = recognisesSpecialTokens
  }
}

/// BPE over bytes (GPT-2's scheme) or over characters (SentencePiece's), read from a Hugging Face model folder or a GGUF file.
///
/// Immutable and cheap to copy: copies share one storage. Encoding and decoding give what Hugging Face's fast tokenizer
/// gives with `split_special_tokens=True, add_special_tokens=False` and `clean_up_tokenization_spaces=False`, and the
/// file as it is, whatever class `tokenizer_config.json` names.
public struct Tokenizer: Sendable {
  let model: TokenizerModel
  /// The id that ends a text, where the folder's files name one or the vocabulary has one of the usual names.
  public let endOfText: Int32?
  /// Every id that the model's configurations end a text with, `endOfText` first.
  public let endTokens: [Int32]

  /// One more than the largest id, added tokens included.
  public var vocabularyCount: Int { model.idCount }

  /// Over everything that decides what `encode` and `decode` give: tokens with their ids, merges, added tokens, and how
  /// text is cut. The same for `tokenizer.json` and for `vocab.json` with `merges.txt` where they behave the same.
  /// `endOfText` is not part of it.
  public var digest: Digest { model.digest }

  /// Special tokens that the tokenizer's post-processor writes before a text, such as LLaMA's BOS; often none.
  public var beginning: [Int32] { model.beginning }

  /// Special tokens that the tokenizer's post-processor writes after a text; hardly ever any.
  public var ending: [Int32] { model.ending }

  /// `ids` of a whole prompt with what stands before every text, which is written once: a template may have written it.
  public func begin(_ ids: [Int32]) -> [Int32] { ids.starts(with: beginning) ? ids : beginning + ids }

  /// Special tokens by their text.
  public var specialTokens: [String: Int32] { model.specialTokens }

  /// Reads `tokenizer.json`, else `vocab.json` and `merges.txt`, else `tokenizer.model`, and the special tokens' names beside
  /// them; or what a GGUF file holds, where `folder` is the path of one.
  ///
  /// Throws `.notFound` where neither is there, `.badData` that names the file and the part where a file is broken or
  /// asks for what is not supported.
  public init(folder: String) throws {
    if try GGUFFile.isOne(folder) {
      try self.init(GGUFFile(folder))
      return
    }
    let names = try SpecialTokenNames(folder: folder)
    let description = try TokenizerDescription(folder: folder, names)
    let model = try TokenizerModel(description)
    let listed = names.endOfTextIDs.compactMap { Int32(exactly: $0) }
    self.init(
      model, endOfText: try Self.endOfText(names, description, model),
      endTokens: listed.filter { model.withToken($0) { _ in true } ?? false })
  }

  private init(_ model: TokenizerModel, endOfText: Int32?, endTokens: [Int32]) {
    (self.model, self.endOfText) = (model, endOfText)
    self.endTokens = [endOfText].compactMap(\.self) + endTokens
  }

  /// The tokenizer that a GGUF file holds, which cuts text as llama.cpp does with that file.
  ///
  /// Throws `badData`, naming the key, for what is missing, contradicts itself, or is not supported.
  public init(_ file: GGUFFile) throws {
    let tokens = try GGUFTokens(file)
    let end = tokens.ends.first ?? Self.usualEnd(tokens.description)
    self.init(try TokenizerModel(tokens.description), endOfText: end, endTokens: Array(tokens.ends.dropFirst()))
  }

  private static func endOfText(
    _ names: SpecialTokenNames, _ description: TokenizerDescription, _ model: TokenizerModel
  ) throws -> Int32? {
    if let named = names.endOfText {
      guard let id = description.id(of: named.content) else {
        throw SFTError(.badData, "its eos_token \"\(named.content)\" is not in the vocabulary", file: named.file)
      }
      return id
    }
    for number in names.endOfTextIDs {
      if let id = Int32(exactly: number), model.withToken(id, { _ in true }) == true { return id }
    }
    return usualEnd(description)
  }

  private static func usualEnd(_ description: TokenizerDescription) -> Int32? {
    let usual = ["<|endoftext|>", "</s>", "<|end_of_text|>"]
    return ([description.endOfText].compactMap(\.self) + usual).lazy.compactMap(description.id).first
  }

  /// The bytes that a token decodes to where others stand before it; nil where `id` is not in the vocabulary.
  public func token(_ id: Int32) -> [UInt8]? { model.withToken(id) { model.decoder.bytes(of: $0) } }

  /// Whether `skipSpecialTokens` leaves `id` out.
  public func isSpecial(_ id: Int32) -> Bool { model.specialIDs.contains(id) }

  /// Whether a byte-level vocabulary lacks tokens for some bytes that text may hold, and nothing stands for them.
  public var losesBytes: Bool { !model.lostBytes.isEmpty }

  /// Bytes of a text that encoding leaves out, for want of a token; 0 where `losesBytes` is false. O(text).
  public func lostBytes(of text: String) -> Int {
    guard losesBytes else { return 0 }
    var bytes = Array(text.utf8)
    model.normalizer.apply(to: &bytes)
    return bytes.count { model.lostBytes[Int($0)] }
  }

  /// An encoder for one thread.
  public func makeEncoder() -> TokenEncoder { TokenEncoder(model) }

  /// A decoder that is given ids one by one.
  public func makeDecoder(skipSpecialTokens: Bool) -> StreamingDecoder {
    StreamingDecoder(model, skipSpecialTokens: skipSpecialTokens)
  }

  /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD, as in Hugging Face's `decode`.
  ///
  /// Throws `.badData` for an id that is not in the vocabulary.
  public func decode(_ ids: [Int32], skipSpecialTokens: Bool = true) throws -> String {
    var bytes: [UInt8] = []
    guard var chain = model.makeDecoderChain() else {
      for id in ids { try model.visit(id, skipSpecialTokens: skipSpecialTokens) { bytes += $0 } }
      return String(decoding: bytes, as: UTF8.self)
    }
    for id in ids {
      try model.visit(id, skipSpecialTokens: skipSpecialTokens) { chain.push(Array($0), into: &bytes) }
    }
    chain.finish(into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Names of the tokenizer's files in a folder, for copying them to an exported model; none of a GGUF file.
  public static func files(in folder: String) throws -> [String] {
    try [
      "added_tokens.json", "chat_template.jinja", "merges.txt", "special_tokens_map.json", "tokenizer.json",
      "tokenizer.model", "tokenizer_config.json", "vocab.json",
    ].filter { try FileStatus("\(folder)/\($0)")?.kind == .file }
  }
}
