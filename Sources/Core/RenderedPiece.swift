/// A run of text that a chat template has rendered, and where it came from.
///
/// Neighbouring pieces differ in origin or in `inGeneration`, and none is empty. Special tokens are recognised in the
/// template's own pieces only: text of a message never becomes one.
public struct RenderedPiece: Sendable, Equatable {
  public enum Origin: Sendable, Equatable {
    /// The template's own text, and what stands for special tokens and well-known roles.
    case template
    /// Text of the data; the 0-based index of the message it was in, nil where it was in no message (a tool's
    /// description, a variable).
    case data(message: Int?)
  }

  public var text: String
  public var origin: Origin
  /// Inside `{% generation %}`: what the template itself marks as the assistant's.
  public var inGeneration: Bool

  public init(text: String, origin: Origin, inGeneration: Bool = false) {
    self.text = text
    self.origin = origin
    self.inGeneration = inGeneration
  }

  /// Special tokens are recognised here.
  public var isLiteral: Bool { origin == .template }
}

extension [RenderedPiece] {
  /// What a user of the template reads: all pieces in a row.
  public var text: String { map(\.text).joined() }

  package var byteCount: Int { reduce(0) { $0 + $1.text.utf8.count } }

  /// The pieces of a range of the text's bytes, whose ends lie between characters.
  package func bytes(_ range: Range<Int>) -> [RenderedPiece] {
    var pieces: [RenderedPiece] = []
    var start = 0
    for piece in self {
      let count = piece.text.utf8.count
      let (low, high) = (Swift.max(range.lowerBound - start, 0), Swift.min(range.upperBound - start, count))
      start += count
      if low >= high { continue }
      var piece = piece
      if high - low < count { piece.text = String(decoding: [UInt8](piece.text.utf8)[low..<high], as: UTF8.self) }
      pieces.append(piece)
    }
    return pieces
  }
}
