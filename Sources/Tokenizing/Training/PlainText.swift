import Core
import Files

/// A file of plain UTF-8 text, in pieces for several threads.
public struct PlainText: Sendable {
  public let file: MappedFile
  /// The text without a byte order mark.
  private let start: Int

  /// Bytes of a piece, about.
  private static let pieceSize = 1 << 20

  /// Throws `notFound` where there is no such file, `badData` where it is empty or in UTF-16. That it is UTF-8 is checked
  /// as its pieces are read.
  public init(_ path: String) throws {
    file = try MappedFile(path)
    let bytes = file.bytes
    if bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff]) {
      throw SFTError(.badData, "is in UTF-16", file: path, advice: "Convert it to UTF-8")
    }
    start = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
    guard bytes.count > start else { throw SFTError(.badData, "is empty: there is no text to train on", file: path) }
  }

  public var count: Int { file.count - start }

  /// Ranges of whole lines.
  func linePieces() -> [Range<Int>] {
    pieces { bytes, at in bytes[at - 1] == 0x0a }
  }

  /// Ranges that may be encoded apart: every word ends where they meet. They are cut before a line end between two letters,
  /// which no way of cutting words joins to either.
  func encodablePieces() -> [Range<Int>] {
    func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }
    return pieces { bytes, at in
      bytes[at] == 0x0a && isLetter(bytes[at - 1]) && at + 1 < bytes.count && isLetter(bytes[at + 1])
    }
  }

  private func pieces(_ mayCut: (UnsafeRawBufferPointer, Int) -> Bool) -> [Range<Int>] {
    let bytes = file.bytes
    var pieces: [Range<Int>] = []
    var first = start
    while first < bytes.count {
      var end = min(first + Self.pieceSize, bytes.count)
      while end < bytes.count, !mayCut(bytes, end) { end += 1 }
      pieces.append(first..<end)
      first = end
    }
    return pieces
  }

  /// Calls `body` with the bytes of a range. Throws `badData`, naming the line, where they are not UTF-8.
  func withText<Result>(_ range: Range<Int>, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result) throws -> Result {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[range]).bindMemory(to: UInt8.self)
    if String(validating: bytes, as: UTF8.self) == nil { throw failure(range, bytes) }
    return try body(bytes)
  }

  private func failure(_ range: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>) -> SFTError {
    let before = file.bytes[..<range.lowerBound].count { $0 == 0x0a }
    let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
    let faulty = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
    return SFTError(
      .badData, "is not valid UTF-8", file: file.path, line: before + faulty + 1, advice: "Convert it to UTF-8")
  }
}

extension Tokenizer {
  /// The ids of a whole text, its special tokens' text recognised. On several threads the same as on one.
  public func encode(_ text: PlainText, threads: Int) throws -> [Int32] {
    let pieces = model.isCuttableBetweenLines ? text.encodablePieces() : [text.encodablePieces()].compactMap(\.whole)
    return try parallelMap(pieces, threads: threads) { piece in
      try text.withText(piece) { bytes in
        var ids: [Int32] = []
        let piece = TextPiece(text: String(decoding: bytes, as: UTF8.self), recognisesSpecialTokens: true)
        makeEncoder().encode([piece], into: &ids)
        return ids
      }
    }.flatMap { $0 }
  }
}

extension [Range<Int>] {
  /// From the first's start to the last's end.
  fileprivate var whole: Range<Int>? {
    guard let first, let last else { return nil }
    return first.lowerBound..<last.upperBound
  }
}
