/// A text, and the white space around it.
struct OuterSpaces {
  let before: String
  let text: String
  let after: String

  /// White space alone is `before`.
  init(_ whole: String) {
    let rest = whole.unicodeScalars.drop(while: \.properties.isWhitespace)
    let end = rest.lastIndex { !$0.properties.isWhitespace }.map { rest.index(after: $0) } ?? rest.startIndex
    before = String(whole.unicodeScalars[..<rest.startIndex])
    text = String(rest[..<end])
    after = String(rest[end...])
  }

  /// Whether both have the same text, to the byte, with different white space around it.
  func differsOnlyAround(_ other: OuterSpaces) -> Bool {
    text.utf8.elementsEqual(other.text.utf8)
      && !(before.utf8.elementsEqual(other.before.utf8) && after.utf8.elementsEqual(other.after.utf8))
  }
}
