import Core

extension GGUFVocabulary {
  /// Sets how spaces are treated, and returns the scores of tokens by id.
  ///
  /// llama.cpp merges two neighbours wherever both together are a token, the one of the highest score first and of equals the
  /// leftmost: so the merges must be all ways of making each token out of two, and those of one token must stand together.
  mutating func setSentencePiece(_ description: TokenizerDescription, conversational: Bool) throws -> [Float] {
    let file = description.vocabularyFile
    try checkBytes(description)
    guard let prefix = try spacePrefix(description, conversational: conversational) else {
      throw SFTError(
        .badData, "its normalizer and pre-tokenizer treat spaces as llama.cpp does not", file: file)
    }
    addsSpacePrefix = prefix
    let ranks = try ranksOfTokens(description)
    try checkMerges(description, ranks)
    // What no merge makes is a letter, whose score does not matter.
    let lowest = Float(ranks.greatest) + 1
    let count = (description.vocabulary.map(\.id).max() ?? -1) + 1
    var scores = [Float](repeating: -lowest, count: max(0, count))
    for entry in description.vocabulary where entry.id >= 0 {
      if let rank = ranks.of(entry.text) { scores[entry.id] = -Float(rank) }
    }
    return scores
  }

  /// llama.cpp writes every character without a token in bytes.
  private func checkBytes(_ description: TokenizerDescription) throws {
    var table = ByteTable(capacity: description.vocabulary.count)
    for entry in description.vocabulary { _ = table.insert(entry.text) }
    let missing = (0..<256).first { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      let isPlain = byte < 0x80 && table.find(String(Character(Unicode.Scalar(UInt8(byte))))) != nil
      return !isPlain && table.find("<0x\(digits.count == 1 ? "0" : "")\(digits)>") == nil
    }
    guard description.byteFallback, missing == nil else {
      throw SFTError(
        .badData, "its characters without a token do not become bytes, which llama.cpp takes for granted",
        file: description.vocabularyFile)
    }
    guard !description.ignoreMerges else {
      throw SFTError(
        .badData, "it looks whole words of characters up before merging (\"ignore_merges\"), which llama.cpp does not",
        file: description.vocabularyFile)
    }
  }

  /// Whether a space is written before texts; nil for what llama.cpp does not do at all.
  private mutating func spacePrefix(_ description: TokenizerDescription, conversational: Bool) throws -> Bool? {
    let sign = Array("▁".utf8)
    let visible = Normalizer.Step.replace(Replacement(wanted: [0x20], content: sign))
    let neverFires = PreTokenizer.Step.split(
      Split(pattern: .text([0x20]), behavior: .mergedWithPrevious, inverted: false))
    let (steps, cuts) = (description.normalizer.steps, description.preTokenizer.steps)
    switch cuts {
    case [], [neverFires]:
      if steps == [.prepend(sign), visible] { return true }
      if steps == [visible] { return false }
      guard steps.count == 1, case .sentencePiece(let normalizer) = steps[0] else { return nil }
      return try Self.plainPrefix(normalizer)
    default:
      guard steps.isEmpty, cuts.count == 1, case .metaspace(let metaspace) = cuts[0], metaspace.replacement == "▁",
        !metaspace.splits
      else { return nil }
      return spacePrefix(metaspace, conversational: conversational)
    }
  }

  /// Whether it writes a space before a text, where making spaces visible is all that it does besides; nil where it does more.
  private static func plainPrefix(_ normalizer: SentencePieceNormalizer) throws -> Bool? {
    try [true, false].first { prefix in
      try normalizer == SentencePieceNormalizer(map: [], addsPrefix: prefix, removesSpaces: false, kept: [], file: "")
    }
  }

  private mutating func spacePrefix(_ metaspace: Metaspace, conversational: Bool) -> Bool {
    switch metaspace.prefix {
    case .never: return false
    case .always: break
    case .first where conversational:
      remarks.append(
        "a text that does not begin with a special token lacks the space that this tokenizer writes before it")
      return false
    case .first:
      remarks.append(
        "llama.cpp writes a space after every special token, where this tokenizer writes one before the text alone")
    }
    remarks.append("a text that begins with a space begins with two in llama.cpp")
    return true
  }

  /// The rank of a token is that of its merges.
  struct TokenRanks {
    private var table: ByteTable
    private var values: [Int] = []

    init(capacity: Int) { table = ByteTable(capacity: capacity) }

    var greatest: Int { values.max() ?? 0 }

    func of(_ text: String) -> Int? { table.find(text).map { values[$0] } }

    /// False where it has another.
    mutating func set(_ text: String, _ rank: Int) -> Bool {
      if let number = table.find(text) { return values[number] == rank }
      _ = table.insert(text)
      values.append(rank)
      return true
    }
  }

  /// By the file's own ranks, else counted: each token is the next one.
  private func ranksOfTokens(_ description: TokenizerDescription) throws -> TokenRanks {
    var ranks = TokenRanks(capacity: description.merges.count)
    var (next, last) = (-1, "")
    for (index, merge) in description.merges.enumerated() {
      let text = merge.left + merge.right
      if let given = description.mergeRanks?[index] {
        next = given
      } else if !text.utf8.elementsEqual(last.utf8) {
        (next, last) = (next + 1, text)
      }
      guard ranks.set(text, next) else {
        throw SFTError(
          .badData, "the merges that make the token \(quoted(text)) do not stand together, which scores cannot say",
          file: description.mergesFile)
      }
    }
    return ranks
  }

  /// Every way of making a token out of two others is a merge.
  private func checkMerges(_ description: TokenizerDescription, _ ranks: TokenRanks) throws {
    var pairs = ByteTable(capacity: description.merges.count)
    func key(_ left: some StringProtocol, _ right: some StringProtocol) -> String { "\(left)\u{0}\(right)" }
    for merge in description.merges { _ = pairs.insert(key(merge.left, merge.right)) }
    func occurs(_ text: Substring) -> Bool { text.unicodeScalars.count == 1 || ranks.of(String(text)) != nil }
    for entry in description.vocabulary where ranks.of(entry.text) != nil {
      let text = entry.text
      for cut in text.unicodeScalars.indices.dropFirst() {
        let (left, right) = (text[..<cut], text[cut...])
        guard occurs(left), occurs(right), pairs.find(key(left, right)) == nil else { continue }
        throw SFTError(
          .badData,
          "\(quoted(String(left))) and \(quoted(String(right))) are not merged, though both together are the token "
            + "\(quoted(text)): llama.cpp would merge them", file: description.mergesFile)
      }
    }
  }
}
