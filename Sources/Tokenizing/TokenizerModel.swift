import Core
import Files

/// A checked tokenizer in the form that encoding and decoding need; shared by all copies of a `Tokenizer`.
final class TokenizerModel: Sendable {
  /// One more than the largest id.
  let idCount: Int
  /// Tokens by id, as the decoder takes them; `lengths` is -1 where an id has no token.
  private let bytes: [UInt8]
  private let starts: [Int32]
  private let lengths: [Int32]
  let normalizer: Normalizer
  let preTokenizer: PreTokenizer
  let merges: MergeTable
  let alphabet: Alphabet
  /// Which bytes a byte-level vocabulary leaves out; empty where it leaves none out.
  let lostBytes: [Bool]
  /// Where words may be cut that are as long as their text.
  let joints: WordJoints?
  /// Whole words that are tokens, and their ids, where merges are ignored for them.
  let words: ByteTable?
  let wordIDs: [Int32]
  let decoder: TokenDecoder
  /// Added tokens, and those of them that are looked for after the others, in normalised text.
  let added: AddedTokenMatcher
  let addedLater: AddedTokenMatcher
  let addedIDs: Set<Int32>
  /// Added tokens that take the white space after them along.
  let strippingIDs: Set<Int32>
  let specialTokens: [String: Int32]
  let specialIDs: Set<Int32>
  /// Special tokens that can be left out of decoded text.
  let skippedIDs: Set<Int32>
  /// Special tokens that the post-processor writes before and after a text.
  let beginning: [Int32]
  let ending: [Int32]
  let digest: Digest

  init(_ description: TokenizerDescription) throws {
    var builder = try VocabularyBuilder(description)
    let merges = try builder.resolveMerges(description)
    try builder.checkReach(description, merges: merges)
    try builder.add(description.addedTokens)
    self.merges = MergeTable(merges, ranks: description.mergeRanks)
    alphabet = try builder.alphabet(description)
    lostBytes = alphabet.lostBytes
    joints = builder.joints(description, alphabet, merges: merges)
    (normalizer, preTokenizer) = (description.normalizer, description.preTokenizer)
    (words, wordIDs) = description.ignoreMerges ? builder.words(description.letters) : (nil, [])
    decoder = description.decoder
    let ordered = description.addedTokens.sorted { $0.id < $1.id }
    added = AddedTokenMatcher(ordered.filter { !$0.normalized })
    addedLater = AddedTokenMatcher(
      ordered.filter(\.normalized), normalizer.appliesToTokens ? normalizer : Normalizer())
    addedIDs = Set(ordered.map(\.id))
    strippingIDs = Set(ordered.filter(\.rstrip).map(\.id))
    let special = ordered.filter(\.special)
    specialIDs = Set(special.map(\.id))
    skippedIDs = specialIDs.subtracting(description.tokensChangedByNormalizer().keys)
    specialTokens = Dictionary(special.map { ($0.content, $0.id) }) { first, _ in first }
    digest = builder.digest(description, merges: merges, addedTokens: ordered)
    (idCount, bytes, starts, lengths) = builder.decodedTokens(description)
    (beginning, ending) = (description.beginning, description.ending)
    for token in beginning + ending where token >= idCount || lengths[Int(token)] < 0 {
      throw SFTError(
        .badData, "its post-processor writes the id \(token), which is not in the vocabulary",
        file: description.vocabularyFile)
    }
  }

  /// Calls `body` with the bytes of a token; nil where the id has none.
  func withToken<Result>(_ id: Int32, _ body: (ArraySlice<UInt8>) -> Result) -> Result? {
    guard id >= 0, Int(id) < idCount, lengths[Int(id)] >= 0 else { return nil }
    let start = Int(starts[Int(id)])
    return body(bytes[start..<start + Int(lengths[Int(id)])])
  }

  /// nil where tokens are bytes.
  func makeDecoderChain() -> DecoderChain? {
    guard case .steps(let steps) = decoder else { return nil }
    return DecoderChain(steps)
  }

  /// A text may be encoded in pieces that are cut before line ends between two letters: nothing depends on where in a text
  /// a piece is, and no token lies across such a place.
  var isCuttableBetweenLines: Bool {
    let keepsLines = normalizer.steps.allSatisfy { step in
      if case .unicode = step { true } else { false }
    }
    return keepsLines && preTokenizer.cutsBetweenLines && !added.touchesLines && !addedLater.touchesLines
  }
}
