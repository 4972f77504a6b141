import Core
import Files

/// Checks a tokenizer's description and turns it into tables.
struct VocabularyBuilder {
  let file: String
  /// Tokens as they are written, in the order of the file, and their ids.
  private(set) var texts: ByteTable
  private(set) var ids: [Int32] = []
  /// Number in `texts` by id, or -1.
  private(set) var numberOf: [Int32] = []
  /// How many of `texts` are the model's own; the others are added tokens.
  private(set) var modelCount = 0

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

  /// By id: what tokens are to a decoder, which is bytes or the text as it is written. In a byte-level vocabulary a token
  /// with a character outside the byte alphabet is its own text. Added tokens that are looked for in normalised text are as
  /// that is.
  func decodedTokens(_ description: TokenizerDescription) -> (
    idCount: Int, bytes: [UInt8], starts: [Int32], lengths: [Int32]
  ) {
    let idCount = (numberOf.lastIndex { $0 >= 0 } ?? -1) + 1
    let changed = description.tokensChangedByNormalizer()
    var bytes: [UInt8] = []
    var starts = [Int32](repeating: 0, count: idCount)
    var lengths = [Int32](repeating: -1, count: idCount)
    for id in 0..<idCount where numberOf[id] >= 0 {
      let text = changed[Int32(id)] ?? Array(texts[Int(numberOf[id])])
      starts[id] = Int32(truncatingIfNeeded: bytes.count)
      bytes +=
        description.letters == .bytes ? ByteAlphabet.bytes(of: String(decoding: text, as: UTF8.self)) ?? text : text
      lengths[id] = Int32(truncatingIfNeeded: bytes.count) - starts[id]
    }
    return (idCount, bytes, starts, lengths)
  }
}
