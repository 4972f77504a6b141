import Core
import Files
import JSON

/// A tokenizer in the terms of a GGUF file: what llama.cpp needs to cut text into the tokens that this tokenizer gives.
///
/// Plain data, made of a model folder and checked: a tokenizer that llama.cpp would not imitate is refused, and where it
/// imitates one only nearly, `remarks` say how.
public struct GGUFVocabulary: Sendable, Equatable {
  /// Which of llama.cpp's tokenizers it is.
  public enum Model: String, Sendable {
    /// BPE over bytes, by merges.
    case byteLevel = "gpt2"
    /// SentencePiece's BPE over characters, by scores of tokens.
    case sentencePiece = "llama"
  }

  /// What a token is for; the raw value is the number in the file.
  public enum TokenKind: Int32, Sendable {
    case normal = 1
    case unknown = 2
    /// Recognised in a template's text only, and not shown.
    case control = 3
    /// Looked for in every text before it is cut.
    case userDefined = 4
    /// A row without a token.
    case unused = 5
    /// One byte of a character that has no token.
    case byte = 6
  }

  public struct Token: Sendable, Equatable {
    public var text: String
    public var kind: TokenKind
    /// Of two merges the one that makes the token of the higher score comes first; 0 in a byte-level vocabulary.
    public var score: Float

    public init(text: String, kind: TokenKind, score: Float) {
      (self.text, self.kind, self.score) = (text, kind, score)
    }
  }

  public var model: Model
  /// llama.cpp's name of how text is cut into words.
  public var preTokenizer: String
  /// One for each row of the embedding, no two of one text.
  public var tokens: [Token]
  /// Two tokens with a space between them, the first to be merged first; empty with scores.
  public var merges: [String]
  /// What begins a text; nil where nothing is said.
  public var beginning: Int32?
  /// What ends a text, the usual one first.
  public var ends: [Int32]
  public var unknown: Int32?
  public var padding: Int32?
  /// Whether `beginning` stands before every text, and the first of `ends` after it.
  public var addsBeginning: Bool
  public var addsEnd: Bool
  /// Whether a text, and what follows a special token, is given a space before it.
  public var addsSpacePrefix: Bool
  /// The special tokens take the white space after them along, as Phi-3's do: llama.cpp does so where the model's name says
  /// Phi-3, and only there.
  public var stripsAsPhi3: Bool
  /// What llama.cpp does otherwise than this tokenizer, each a sentence without a full stop.
  public var remarks: [String]

  /// Reads the tokenizer of a model folder for an embedding of `rows` rows. `conversational` is whether its texts are
  /// conversations that begin with a special token, which matters to tokenizers that treat the first word of a text alone.
  ///
  /// Throws `badData`, naming file and part, for a tokenizer that llama.cpp has nothing equal to, and what reading one
  /// throws.
  public init(folder: String, rows: Int, conversational: Bool) throws {
    let names = try SpecialTokenNames(folder: folder)
    let description = try TokenizerDescription(folder: folder, names)
    let tokenizer = try Tokenizer(folder: folder)
    self.init(
      model: description.letters == .bytes ? .byteLevel : .sentencePiece, preTokenizer: "default", tokens: [],
      merges: [], beginning: names.beginning.flatMap(description.id(of:)), ends: Self.each(once: tokenizer.endTokens),
      unknown: description.unknownToken.flatMap(description.id(of:)),
      padding: try Self.padding(folder).flatMap(description.id(of:)), addsBeginning: false, addsEnd: false,
      addsSpacePrefix: false, stripsAsPhi3: false, remarks: [])
    try setAffixes(description)
    var scores: [Float] = []
    switch model {
    case .byteLevel: try setByteLevel(description, tokenizer.model)
    case .sentencePiece: scores = try setSentencePiece(description, conversational: conversational)
    }
    try setTokens(description, scores: scores, rows: rows)
    remarkOnStripping(description)
  }

  private init(
    model: Model, preTokenizer: String, tokens: [Token], merges: [String], beginning: Int32?, ends: [Int32],
    unknown: Int32?, padding: Int32?, addsBeginning: Bool, addsEnd: Bool, addsSpacePrefix: Bool, stripsAsPhi3: Bool,
    remarks: [String]
  ) {
    (self.model, self.preTokenizer, self.tokens, self.merges) = (model, preTokenizer, tokens, merges)
    (self.beginning, self.ends, self.unknown, self.padding) = (beginning, ends, unknown, padding)
    (self.addsBeginning, self.addsEnd, self.addsSpacePrefix) = (addsBeginning, addsEnd, addsSpacePrefix)
    (self.stripsAsPhi3, self.remarks) = (stripsAsPhi3, remarks)
  }

  /// Puts `token`, which may not be among them, first of those that end a text.
  public mutating func end(first token: Int32) { ends = [token] + ends.filter { $0 != token } }

  private static func each(once ids: [Int32]) -> [Int32] {
    var seen = Set<Int32>()
    return ids.filter { seen.insert($0).inserted }
  }

  private static func padding(_ folder: String) throws -> String? {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
      let path = "\(folder)/\(name)"
      guard try fileExists(path) else { continue }
      let value = try parseJSONFile(path)["pad_token"]
      if let text = value?.string ?? value?["content"]?.string { return text }
    }
    return nil
  }

  /// What stands around every text.
  private mutating func setAffixes(_ description: TokenizerDescription) throws {
    let file = description.vocabularyFile
    guard let end = ends.first else {
      throw SFTError(
        .badData, "no token is named that ends a text, and llama.cpp would end at one of its own choice", file: file,
        advice: "Name it as eos_token in tokenizer_config.json")
    }
    guard description.beginning.count <= 1, description.ending.isEmpty || description.ending == [end] else {
      throw SFTError(
        .badData,
        "its post-processor writes more around a text than one token before it and the one that ends it, which GGUF "
          + "cannot say", file: file)
    }
    if let token = description.beginning.first {
      beginning = token
      addsBeginning = true
    }
    addsEnd = !description.ending.isEmpty
  }

  /// llama.cpp knows no such flags of tokens, except by the name of Phi-3.
  private mutating func remarkOnStripping(_ description: TokenizerDescription) {
    let stripping = description.addedTokens.filter { $0.lstrip || $0.rstrip }
    guard let first = stripping.first else { return }
    let own: Set<String> = ["<unk>", "<s>", "<|endoftext|>"]
    let isPhi3 =
      description.id(of: "</s>") != nil && stripping.allSatisfy { !$0.lstrip }
      && description.addedTokens.allSatisfy { $0.rstrip != own.contains($0.content) }
    guard !isPhi3 else { return stripsAsPhi3 = true }
    remarks.append(
      "the token \(quoted(first.content))\(stripping.count > 1 ? " and others take" : " takes") the white space beside "
        + "it along, which GGUF cannot say: llama.cpp keeps that white space")
  }
}
