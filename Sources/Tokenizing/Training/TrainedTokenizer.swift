import Core
import Files
import JSON

/// A byte-level BPE tokenizer fresh from training, to be written as a folder.
public struct TrainedTokenizer: Sendable {
  /// By id.
  let tokens: [String]
  let merges: [Merge]
  /// The token that ends a text: id 0, and the only special one.
  public let endOfText: String

  public static let standardEndOfText = "<|endoftext|>"
  /// Pairs that occur less often are not merged, as in Hugging Face's `ByteLevelBPETokenizer`.
  public static let standardMinimumCount = 2

  public var vocabularyCount: Int { tokens.count }
  public var mergeCount: Int { merges.count }

  /// Trains on all files together. Fewer tokens than asked for come out where no pair is left to merge.
  ///
  /// `progress` gets how many tokens there are. Throws `usage` for a vocabulary that has no room for the bytes, and what
  /// `PlainText` throws.
  public init(
    training files: [String], vocabularySize: Int, minimumCount: Int = standardMinimumCount,
    endOfText: String = standardEndOfText, threads: Int, progress: (Int) -> Void = { _ in }
  ) throws {
    let smallest = BPETrainer.smallestVocabulary(specialTokens: 1)
    guard vocabularySize >= smallest else {
      throw SFTError(
        .usage, "a vocabulary of \(vocabularySize) is too small: the 256 bytes and \(endOfText) alone are \(smallest)")
    }
    var trainer = BPETrainer(
      vocabularySize: vocabularySize, minimumCount: minimumCount, specialTokens: [endOfText])
    trainer.train(try Self.count(files, threads: threads), progress: progress)
    (tokens, merges) = (trainer.tokens, trainer.merges)
    self.endOfText = endOfText
  }

  private static func count(_ files: [String], threads: Int) throws -> WordCounts {
    var total = WordCounts()
    for text in try files.map(PlainText.init) {
      let pieces = text.linePieces()
      // A share of neighbouring pieces for each thread; the counts do not depend on how the text is shared out.
      let share = max(1, (pieces.count + 4 * threads - 1) / (4 * threads))
      let shares = stride(from: 0, to: pieces.count, by: share).map { pieces[$0..<min($0 + share, pieces.count)] }
      for counts in try parallelMap(
        shares, threads: threads,
        { share in
          let splitter = WordSplitter(.gpt2)
          var counts = WordCounts()
          for piece in share { try text.withText(piece) { counts.add($0, splitter) } }
          return counts
        })
      { total.add(counts) }
    }
    return total
  }

  /// Writes `tokenizer.json`, `vocab.json`, `merges.txt` and `tokenizer_config.json`, as transformers reads them, with the
  /// longest text that a model takes where it is known; `folder` must exist.
  public func write(to folder: String, maximumLength: Int? = nil) throws {
    let vocabulary = JSONValue.object(
      JSONObject(tokens.enumerated().map { (key: $0.element, value: .integer($0.offset)) }))
    try writeAtomically(vocabulary.serialized, to: folder + "/vocab.json")
    let lines = merges.map { "\(tokens[Int($0.left)]) \(tokens[Int($0.right)])\n" }
    try writeAtomically("#version: 0.2\n" + lines.joined(), to: folder + "/merges.txt")
    try writeAtomically(tokenizerJSON(vocabulary).serialized + "\n", to: folder + "/tokenizer.json")
    var settings: [(key: String, value: JSONValue)] = [
      ("add_prefix_space", .bool(false)), ("bos_token", .string(endOfText)), ("eos_token", .string(endOfText)),
    ]
    if let maximumLength { settings.append(("model_max_length", .integer(maximumLength))) }
    settings += [("tokenizer_class", .string("GPT2Tokenizer")), ("unk_token", .string(endOfText))]
    try writeAtomically(JSONValue.object(JSONObject(settings)).serialized + "\n", to: folder + "/tokenizer_config.json")
  }

  private func tokenizerJSON(_ vocabulary: JSONValue) -> JSONValue {
    func object(_ members: [(key: String, value: JSONValue)]) -> JSONValue { .object(JSONObject(members)) }
    func byteLevel(trimsOffsets: Bool) -> JSONValue {
      object([
        ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("trim_offsets", .bool(trimsOffsets)),
        ("use_regex", .bool(true)),
      ])
    }
    let model = object([
      ("type", .string("BPE")), ("dropout", .null), ("unk_token", .null), ("continuing_subword_prefix", .null),
      ("end_of_word_suffix", .null), ("fuse_unk", .bool(false)), ("byte_fallback", .bool(false)),
      ("ignore_merges", .bool(false)), ("vocab", vocabulary),
      (
        "merges",
        .array(merges.map { .array([.string(tokens[Int($0.left)]), .string(tokens[Int($0.right)])]) })
      ),
    ])
    let special = object([
      ("id", .integer(0)), ("content", .string(endOfText)), ("single_word", .bool(false)), ("lstrip", .bool(false)),
      ("rstrip", .bool(false)), ("normalized", .bool(false)), ("special", .bool(true)),
    ])
    return object([
      ("version", .string("1.0")), ("truncation", .null), ("padding", .null), ("added_tokens", .array([special])),
      ("normalizer", .null), ("pre_tokenizer", byteLevel(trimsOffsets: true)),
      ("post_processor", byteLevel(trimsOffsets: false)), ("decoder", byteLevel(trimsOffsets: true)), ("model", model),
    ])
  }
}
