import Core
import Tokenizing

extension [RenderedPiece] {
  /// What follows `beginning`.
  ///
  /// Throws where the text does not begin so, saying which characters differ.
  func rest(after beginning: [RenderedPiece]) throws(EncodingFault) -> [RenderedPiece] {
    let (whole, expected) = ([UInt8](text.utf8), [UInt8](beginning.text.utf8))
    guard !whole.starts(with: expected) else { return bytes(expected.count..<whole.count) }
    var same = zip(whole, expected).prefix { $0 == $1 }.count
    // Both are cut before the character that differs.
    while same > 0, same < expected.count, expected[same] & 0xc0 == 0x80 { same -= 1 }
    func excerpt(_ bytes: [UInt8]) -> String {
      let end = bytes.count - same <= 60 ? bytes.count : same + 60
      let text = String(decoding: bytes[Swift.min(same, bytes.count)..<end], as: UTF8.self)
      return text.isEmpty ? "the end" : "\"\(printable(text).replacing("\n", with: "\\n"))\""
    }
    throw EncodingFault(
      "the template does not go on from the prompt that it asks an answer with: after \(same) bytes that has "
        + "\(excerpt(expected)), and the answered turn \(excerpt(whole))",
      advice:
        "A model trained so would never be shown what it was trained after: write the turns as they are asked for, with "
        + "the reasoning that they begin with, or name another template with \(OptionName.template)")
  }
}

extension TextPiece {
  /// Special tokens are recognised in the template's own text only.
  init(_ piece: RenderedPiece) { self.init(text: piece.text, recognisesSpecialTokens: piece.isLiteral) }
}
