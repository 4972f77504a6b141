import Core

/// What a template begins an answer with where it asks for one, beyond the mark of the assistant's turn: reasoning that the
/// model is to go on with (`<think>\n` of DeepSeek-R1's distillations), or that is closed again so that it does not reason
/// (`<think>\n\n</think>\n\n`).
struct ThoughtOpening {
  /// `<think>`.
  let mark: String
  /// `</think>`.
  let closing: String
  /// As it is asked with: the mark, and the white space that follows.
  let text: String
  /// The reasoning ends before the answer begins.
  let isClosed: Bool

  /// What a prompt ends with; nil where that is nothing of the kind. A mark is a word in angle or square brackets that
  /// speaks of thoughts or reasoning, whatever else a template's marks are.
  init?(endOf prompt: [RenderedPiece]) {
    guard let last = prompt.last, last.isLiteral else { return nil }
    let text = last.text.unicodeScalars
    guard let (end, name) = Self.mark(before: text.endIndex, in: text) else { return nil }
    isClosed = name.hasPrefix("/")
    guard isClosed else {
      (mark, closing) = Self.pair(name, text[text.index(before: end.upperBound)])
      self.text = String(text[end.lowerBound...])
      return
    }
    guard let (start, opened) = Self.mark(before: end.lowerBound, in: text), "/" + opened == name else { return nil }
    (mark, closing) = Self.pair(opened, text[text.index(before: start.upperBound)])
    self.text = String(text[start.lowerBound...])
  }

  private static func pair(_ name: String, _ bracket: Unicode.Scalar) -> (String, String) {
    bracket == ">" ? ("<\(name)>", "</\(name)>") : ("[\(name)]", "[/\(name)]")
  }

  /// The mark before `end`, white space between left out.
  private static func mark(
    before end: String.Index, in text: String.UnicodeScalarView
  ) -> (Range<String.Index>, name: String)? {
    var end = end
    while end > text.startIndex, text[text.index(before: end)].properties.isWhitespace {
      end = text.index(before: end)
    }
    guard end > text.startIndex else { return nil }
    let last = text.index(before: end)
    guard let bracket = [">": "<", "]": "["][text[last]] as Unicode.Scalar?,
      let start = text[..<last].lastIndex(of: bracket)
    else { return nil }
    let name = String(text[text.index(after: start)..<last])
    let word = name.lowercased()
    guard ["think", "thought", "reason"].contains(where: word.contains) else { return nil }
    return (start..<end, name)
  }
}
