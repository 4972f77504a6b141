import Core

extension GGUFVocabulary {
  /// Sets `tokens`, one for each of `rows`; `scores` is by id, or empty.
  mutating func setTokens(_ description: TokenizerDescription, scores: [Float], rows: Int) throws {
    var found = [Token?](repeating: nil, count: rows)
    let file = description.vocabularyFile
    var left = 0
    for entry in description.vocabulary {
      guard found.indices.contains(entry.id) else {
        throw SFTError(
          .badData, "the token \(quoted(entry.text)) has the id \(entry.id), and the model has \(rows) rows",
          file: file)
      }
      let score = scores.indices.contains(entry.id) ? scores[entry.id] : 0
      found[entry.id] = Token(text: entry.text, kind: kind(entry.text, description), score: score)
    }
    for token in description.addedTokens {
      guard found.indices.contains(Int(token.id)) else {
        left += 1
        continue
      }
      let before = found[Int(token.id)]
      found[Int(token.id)] = written(token, isModels: before != nil, score: before?.score ?? lowest(scores))
    }
    if left > 0 {
      remarks.append(
        "\(counted(left, "added token")) for which the model has no row \(left == 1 ? "is" : "are") left out")
    }
    tokens = try unique(found, lowest(scores), file)
    try check(file)
  }

  private func kind(_ text: String, _ description: TokenizerDescription) -> TokenKind {
    guard model == .sentencePiece else { return .normal }
    if let unknown = description.unknownToken, unknown.utf8.elementsEqual(text.utf8) { return .unknown }
    return fallbackByte(Array(text.utf8)) == nil ? .normal : .byte
  }

  /// An added token. One that is looked for as it is and holds SentencePiece's sign for a space is never found in real text,
  /// but made by merges: as a normal token it is, and is shown as a space. One that is looked for in text with visible spaces
  /// is looked for with spaces.
  private func written(_ token: AddedToken, isModels: Bool, score: Float) -> Token {
    if token.special { return Token(text: token.content, kind: .control, score: score) }
    if model == .sentencePiece, token.content.unicodeScalars.contains("▁") {
      if !token.normalized, isModels { return Token(text: token.content, kind: .normal, score: score) }
      let scalars = token.content.unicodeScalars.map { $0 == "▁" ? " " : $0 }
      return Token(text: String(String.UnicodeScalarView(scalars)), kind: .userDefined, score: score)
    }
    return Token(text: token.content, kind: .userDefined, score: score)
  }

  private func lowest(_ scores: [Float]) -> Float { (scores.min() ?? 0) - (scores.isEmpty ? 0 : 1) }

  /// Every row with a text, and none twice: llama.cpp stops at two equal ones.
  private func unique(_ found: [Token?], _ score: Float, _ file: String) throws -> [Token] {
    var texts = ByteTable(capacity: 2 * found.count)
    for case let token? in found {
      // llama.cpp reads a text up to its first NUL.
      guard !token.text.isEmpty, !token.text.utf8.contains(0) else {
        throw SFTError(.badData, "its vocabulary holds an empty token, or one with a NUL", file: file)
      }
      guard texts.insert(token.text) != nil else {
        throw SFTError(.badData, "two tokens would be written as \(quoted(token.text))", file: file)
      }
    }
    return found.enumerated().map { id, token in
      if let token { return token }
      var text = "[PAD\(id)]"
      while texts.insert(text) == nil { text += "_" }
      return Token(text: text, kind: .unused, score: score)
    }
  }

  /// Named tokens must be among the rows.
  private mutating func check(_ file: String) throws {
    func isRow(_ id: Int32) -> Bool { tokens.indices.contains(Int(id)) }
    let wanted = [beginning].compactMap(\.self) + ends
    guard let wrong = wanted.first(where: { !isRow($0) }) else {
      unknown = unknown.flatMap { isRow($0) ? $0 : nil }
      padding = padding.flatMap { isRow($0) ? $0 : nil }
      return
    }
    throw SFTError(
      .badData, "the token \(wrong), which begins or ends a text, is beyond the model's \(tokens.count) rows",
      file: file)
  }
}
