import Core
import Files

/// Checks a tokenizer's description and turns it into tables.
struct VocabularyBuilder {
  private let file: String
  /// Tokens as they are written, in the order of the file, and their ids.
  private var texts: ByteTable
  private var ids: [Int32] = []
  /// Number in `texts` by id, or -1.
  private var numberOf: [Int32] = []
  /// How many of `texts` are the model's own; the others are added tokens.
  private var modelCount = 0

  init(_ description: TokenizerDescription) throws {
    file = description.vocabularyFile
    let count = description.vocabulary.count + description.addedTokens.count
    texts = ByteTable(capacity: count)
    guard !description.vocabulary.isEmpty else { throw SFTError(.badData, "its vocabulary is empty", file: file) }
    // A vocabulary may leave ids out, but the table by id must stay in proportion.
    numberOf = [Int32](repeating: -1, count: min(2 * count + 1024, Int(Int32.max)))
    for entry in description.vocabulary { try add(entry.text, entry.id) }
    modelCount = texts.count
  }

  private mutating func add(_ text: String, _ id: Int) throws {
    guard id >= 0, id < numberOf.count else {
      throw SFTError(.badData, "the id \(id) of the token \"\(text)\" is out of range", file: file)
    }
    guard numberOf[id] < 0 else { throw SFTError(.badData, "the id \(id) is given to two tokens", file: file) }
    guard let number = texts.insert(text) else {
      throw SFTError(.badData, "the token \"\(text)\" is there twice", file: file)
    }
    numberOf[id] = Int32(number)
    ids.append(Int32(id))
  }

  /// Added tokens are the model's own tokens of the same text and id, or new ones.
  mutating func add(_ tokens: [AddedToken]) throws {
    var seen = ByteTable(capacity: tokens.count)
    for token in tokens {
      guard !token.content.isEmpty else { throw SFTError(.badData, "an added token is empty", file: file) }
      guard seen.insert(token.content) != nil else {
        throw SFTError(.badData, "the added token \"\(token.content)\" is there twice", file: file)
      }
      if let number = texts.find(token.content) {
        guard ids[number] == token.id else {
          throw SFTError(
            .badData,
            "the added token \"\(token.content)\" has the id \(token.id), but \(ids[number]) in the vocabulary",
            file: file)
        }
      } else {
        try add(token.content, Int(token.id))
      }
    }
  }

  /// Merges with ids for texts; each side and the result must be tokens.
  func resolveMerges(_ description: TokenizerDescription) throws -> [Merge] {
    var result: [Merge] = []
    result.reserveCapacity(description.merges.count)
    for (index, merge) in description.merges.enumerated() {
      let joined = merge.left + merge.right
      guard let left = texts.find(merge.left), let right = texts.find(merge.right), let both = texts.find(joined) else {
        let missing = [merge.left, merge.right, joined].first { texts.find($0) == nil } ?? joined
        throw SFTError(
          .badData,
          "merge \(index + 1) (\"\(merge.left)\", \"\(merge.right)\") needs the token \"\(missing)\", "
            + "which is not in the vocabulary", file: description.mergesFile,
          line: description.mergesLine.map { $0 + index })
      }
      result.append(Merge(left: ids[left], right: ids[right], result: ids[both]))
    }
    return result
  }

  /// A `merges.txt` that was cut at the end of a line looks sound, but then there are tokens that nothing makes. Tokens
  /// written as control tokens are (`<|pad|>`, `[MASK]`) are not made by merges. Only for files of lines: JSON that is
  /// cut short does not parse.
  func checkReach(_ description: TokenizerDescription, merges: [Merge]) throws {
    guard description.mergesLine != nil else { return }
    let made = Set(merges.map(\.result)).union(description.addedTokens.map(\.id))
    let unreached = description.vocabulary.filter { entry in
      let text = entry.text
      let isControl = text.hasPrefix("<") && text.hasSuffix(">") || text.hasPrefix("[") && text.hasSuffix("]")
      return text.unicodeScalars.count > 1 && !isControl && !made.contains(Int32(truncatingIfNeeded: entry.id))
    }
    guard let first = unreached.first else { return }
    let others = unreached.count > 1 ? " and \(grouped(unreached.count - 1)) more of the vocabulary" : ""
    throw SFTError(
      .badData, "no merge makes the token \"\(first.text)\"\(others)", file: description.mergesFile,
      advice: "Fetch the file again: it may be cut short")
  }

  /// The tokens of single bytes. Some vocabularies lack those of control characters and other rare bytes, which are then left
  /// out of the text; one without those of plain ASCII is of another kind.
  func byteTokens(_ description: TokenizerDescription) throws -> [Int32] {
    try ByteAlphabet.points.enumerated().map { byte, point in
      let text = Unicode.Scalar(point).map { String(Character($0)) } ?? ""
      if let number = texts.find(text), number < modelCount { return ids[number] }
      let lack = "its vocabulary has no token \"\(text)\" for the byte \(byte)"
      guard !(0x20...0x7e).contains(byte) else {
        throw SFTError(.badData, lack + ": it is not byte-level BPE", file: file)
      }
      if let unknown = description.unknownToken, ByteAlphabet.occursInUTF8(byte) {
        throw SFTError(.badData, lack + ", and \"unk_token\" \"\(unknown)\" is not supported", file: file)
      }
      return -1
    }
  }

  /// The model's tokens as the bytes of words, for looking up whole words.
  func words() -> (ByteTable, [Int32]) {
    var table = ByteTable(capacity: modelCount)
    var wordIDs: [Int32] = []
    for number in 0..<modelCount {
      guard let bytes = ByteAlphabet.bytes(of: String(decoding: texts[number], as: UTF8.self)) else { continue }
      if bytes.withUnsafeBufferPointer({ table.insert($0) }) != nil { wordIDs.append(ids[number]) }
    }
    return (table, wordIDs)
  }

  /// By id: what tokens decode to. A token with a character outside the byte alphabet is its own text.
  func decodedTokens() -> (idCount: Int, bytes: [UInt8], starts: [Int32], lengths: [Int32]) {
    let idCount = (numberOf.lastIndex { $0 >= 0 } ?? -1) + 1
    var bytes: [UInt8] = []
    var starts = [Int32](repeating: 0, count: idCount)
    var lengths = [Int32](repeating: -1, count: idCount)
    for id in 0..<idCount where numberOf[id] >= 0 {
      let text = texts[Int(numberOf[id])]
      starts[id] = Int32(truncatingIfNeeded: bytes.count)
      bytes += ByteAlphabet.bytes(of: String(decoding: text, as: UTF8.self)) ?? Array(text)
      lengths[id] = Int32(truncatingIfNeeded: bytes.count) - starts[id]
    }
    return (idCount, bytes, starts, lengths)
  }

  /// Over everything that decides what encoding and decoding give, however the files wrote it.
  func digest(_ description: TokenizerDescription, merges: [Merge], addedTokens: [AddedToken]) -> Digest {
    var content = CanonicalBytes()
    content.append("sft tokenizer 1")
    content.append(texts.count)
    for (id, number) in numberOf.enumerated() where number >= 0 {
      content.append(id)
      content.append(texts[Int(number)])
      // Whether a token is only added matters where whole words are looked up.
      content.append(description.ignoreMerges && Int(number) >= modelCount ? 1 : 0)
    }
    content.append(merges.count)
    for merge in merges {
      content.append(Int(merge.left))
      content.append(Int(merge.right))
    }
    // In which of two passes a token is looked for matters only where both are made.
    let twoPasses = addedTokens.contains(where: \.normalized) && !addedTokens.allSatisfy(\.normalized)
    content.append(addedTokens.count)
    for token in addedTokens {
      let flags = [token.special, twoPasses && token.normalized, token.lstrip, token.rstrip]
      content.append(Int(token.id))
      for flag in flags { content.append(flag ? 1 : 0) }
    }
    content.append("\(description.split.pattern)")
    content.append(description.split.addPrefixSpace ? 1 : 0)
    content.append(description.split.isolatesDigits ? 1 : 0)
    // Most byte-level tokenizers write none, and keep the digest that they have always had.
    if !description.beginning.isEmpty || !description.ending.isEmpty {
      for tokens in [description.beginning, description.ending] {
        content.append(tokens.count)
        for token in tokens { content.append(Int(token)) }
      }
    }
    content.append(description.ignoreMerges ? 1 : 0)
    return content.digest()
  }
}

/// Integers as 8 bytes, strings after their length: collected first, because hashing many small pieces is slow.
private struct CanonicalBytes {
  private var bytes: [UInt8] = []

  mutating func append(_ value: Int) { withUnsafeBytes(of: Int64(value).littleEndian) { bytes += $0 } }

  mutating func append(_ text: String) { append(Array(text.utf8)[...]) }

  mutating func append(_ text: ArraySlice<UInt8>) {
    append(text.count)
    bytes += text
  }

  func digest() -> Digest { bytes.withUnsafeBytes { Digest(of: $0) } }
}
