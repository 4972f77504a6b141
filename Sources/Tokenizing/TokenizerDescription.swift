import Core

/// How a text is cut before its words are encoded.
struct SplitSettings: Sendable, Equatable {
  var pattern = WordPattern.gpt2
  /// Text that does not start with a space is given one.
  var addPrefixSpace = false
  /// Every digit stands alone, before `pattern` is applied (SmolLM, StarCoder).
  var isolatesDigits = false
}

/// What a tokenizer's files say, whichever they are; `TokenizerModel` checks it.
struct TokenizerDescription: Sendable {
  var vocabulary: [(text: String, id: Int)] = []
  var merges: [(left: String, right: String)] = []
  var addedTokens: [AddedToken] = []
  var split = SplitSettings()
  /// A word that is a token is that token, whether merges lead to it or not (LLaMA 3).
  var ignoreMerges = false
  /// What stands for a byte without a token; nil where such bytes are left out.
  var unknownToken: String?
  /// Special tokens that the post-processor writes before and after a text.
  var beginning: [Int32] = []
  var ending: [Int32] = []
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
}
