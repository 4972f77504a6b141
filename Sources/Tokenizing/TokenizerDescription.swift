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
  /// Where `vocabulary` and `merges` come from, for error messages.
  var vocabularyFile = ""
  var mergesFile = ""
  /// Line of the first merge in `mergesFile`, where that has lines.
  var mergesLine: Int?

  /// Makes tokens special that `tokenizer_config.json` names so (`eos_token` and the like). Those that are not in the
  /// vocabulary would be new tokens, for which the model has no row: they are left out.
  mutating func addSpecialTokens(named names: [String]) {
    var known = ByteTable(capacity: addedTokens.count + names.count)
    for token in addedTokens { _ = known.insert(token.content) }
    let wanted = names.filter { !$0.isEmpty && known.insert($0) != nil }
    guard !wanted.isEmpty else { return }
    for entry in vocabulary {
      // Compared as bytes: `==` on strings is canonical equivalence.
      guard wanted.contains(where: { $0.utf8.elementsEqual(entry.text.utf8) }) else { continue }
      addedTokens.append(AddedToken(id: Int32(truncatingIfNeeded: entry.id), content: entry.text, special: true))
    }
  }
}
