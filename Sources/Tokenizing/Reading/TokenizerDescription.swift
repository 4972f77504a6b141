import Core

/// What a tokenizer's files say, whichever they are; `TokenizerModel` checks it.
struct TokenizerDescription: Sendable {
  /// What the model's letters are.
  enum Letters: Sendable, Equatable {
    case bytes
    case characters
  }

  var vocabulary: [(text: String, id: Int)] = []
  var merges: [(left: String, right: String)] = []
  /// The rank of each merge, in rising order, where several share one, as in SentencePiece: of those in a word the leftmost
  /// comes first. nil where each has its own.
  var mergeRanks: [Int]?
  var addedTokens: [AddedToken] = []
  var letters = Letters.bytes
  var normalizer = Normalizer()
  var preTokenizer = PreTokenizer(steps: [.words(.gpt2)])
  var decoder = TokenDecoder.byteLevel
  /// A word that is a token is that token, whether merges lead to it or not (LLaMA 3).
  var ignoreMerges = false
  /// A character without a token becomes the tokens of its bytes.
  var byteFallback = false
  /// What stands for a letter without a token; nil where such letters are left out.
  var unknownToken: String?
  /// Letters without a token that follow one another are one unknown token.
  var fusesUnknown = false
  /// Special tokens that the post-processor writes before and after a text.
  var beginning: [Int32] = []
  var ending: [Int32] = []
  /// The token that ends a text, where the file itself says so.
  var endOfText: String?
  /// Where `vocabulary` and `merges` come from, for error messages.
  var vocabularyFile = ""
  var mergesFile = ""
  /// Line of the first merge in `mergesFile`, where that has lines.
  var mergesLine: Int?

  /// Adds what other files list, unless it is there already.
  mutating func add(_ tokens: [AddedToken]) {
    var known = ByteTable(capacity: addedTokens.count + tokens.count)
    for token in addedTokens { _ = known.insert(token.content) }
    addedTokens += tokens.filter { known.insert($0.content) != nil }
  }

  /// Makes tokens special that `tokenizer_config.json` names so (`eos_token` and the like). Those that are not in the
  /// vocabulary would be new tokens, for which the model has no row: they are left out.
  mutating func addSpecialTokens(named names: [String]) {
    var wanted = ByteTable(capacity: names.count)
    for name in names { _ = wanted.insert(name) }
    guard wanted.count > 0 else { return }
    add(
      vocabulary.filter { wanted.find($0.text) != nil }.map {
        AddedToken(id: Int32(truncatingIfNeeded: $0.id), content: $0.text, special: true)
      })
  }

  /// The setting of that name in `tokenizer_config.json`, which overrides the pre-tokeniser's.
  mutating func setAddPrefixSpace(_ isOn: Bool) {
    preTokenizer.steps.removeAll { $0 == .prefixSpace }
    if isOn { preTokenizer.steps.insert(.prefixSpace, at: 0) }
  }

  /// The id of a token of the vocabulary or an added one.
  func id(of content: String) -> Int32? {
    func isIt(_ text: String) -> Bool { text.utf8.elementsEqual(content.utf8) }
    return addedTokens.first { isIt($0.content) }?.id
      ?? vocabulary.first { isIt($0.text) }.map { Int32(truncatingIfNeeded: $0.id) }
  }

  /// By id, added tokens that normalising changes, as it leaves them. `tokenizers` has them in this form only: decoding
  /// writes it, and leaves none of them out as special.
  func tokensChangedByNormalizer() -> [Int32: [UInt8]] {
    var changed: [Int32: [UInt8]] = [:]
    guard !normalizer.isEmpty, normalizer.appliesToTokens else { return [:] }
    for token in addedTokens where token.normalized {
      var text = Array(token.content.utf8)
      normalizer.apply(to: &text)
      if !text.elementsEqual(token.content.utf8) { changed[token.id] = text }
    }
    return changed
  }
}
