import Core
import Files

/// What SentencePiece does to a text before it is cut into characters: characters are written as its map says, runs of
/// spaces as one and those at the ends not at all where that is asked for, every space as `▁`, and one more before the text.
/// User-defined pieces stay as they are.
final class SentencePieceNormalizer: Sendable, Equatable, CustomStringConvertible {
  private static let sign: [UInt8] = [0xe2, 0x96, 0x81]

  private let map: CharacterMap?
  private let mapDigest: Digest
  private let addsPrefix: Bool
  private let removesSpaces: Bool
  private let kept: AddedTokenMatcher

  /// `map` may be empty, and `kept` are the user-defined pieces.
  ///
  /// Throws `badData` where `map` is not one.
  init(map: ArraySlice<UInt8>, addsPrefix: Bool, removesSpaces: Bool, kept: [AddedToken], file: String) throws {
    self.map = map.isEmpty ? nil : try CharacterMap(map, file: file)
    mapDigest = map.withUnsafeBytes { Digest(of: $0) }
    (self.addsPrefix, self.removesSpaces) = (addsPrefix, removesSpaces)
    self.kept = AddedTokenMatcher(kept)
  }

  /// What decides how text is normalised, the user-defined pieces apart: equal normalisers have equal descriptions.
  var description: String { "sentencePiece(\(mapDigest), prefix: \(addsPrefix), removesSpaces: \(removesSpaces))" }

  static func == (left: SentencePieceNormalizer, right: SentencePieceNormalizer) -> Bool {
    left === right || left.description == right.description
  }

  /// A stretch of the text or of the map's texts, and the bytes of the text that it is written for.
  private struct Written {
    var isMapped: Bool
    var start: Int
    var end: Int
    var length: Int
  }

  /// Normalises `text` in place. `isStart` is false of text that goes on from other text: its first space is kept, and none
  /// is written before it.
  func apply(to text: inout [UInt8], isStart: Bool) {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    text.withUnsafeBufferPointer { text in
      let none: [UInt8] = []
      (map?.texts ?? none).withUnsafeBufferPointer { mapped in
        guard let base = text.baseAddress else { return }
        write(base, text.count, mapped, isStart: isStart, to: &result)
      }
    }
    text = result
  }

  private func write(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ mapped: UnsafeBufferPointer<UInt8>, isStart: Bool,
    to result: inout [UInt8]
  ) {
    func byte(_ written: Written, _ at: Int) -> UInt8 { written.isMapped ? mapped[at] : text[at] }
    var at = 0
    if removesSpaces, isStart {
      while at < count {
        let next = next(text, at, count, mapped)
        guard next.end - next.start == 1, byte(next, next.start) == 0x20 else { break }
        at += next.length
      }
    }
    guard at < count else { return }
    if addsPrefix, isStart { result += Self.sign }
    var followsSpace = removesSpaces && isStart
    while at < count {
      let next = next(text, at, count, mapped)
      var from = next.start
      while followsSpace, from < next.end, byte(next, from) == 0x20 { from += 1 }
      if from < next.end {
        for place in from..<next.end {
          let byte = byte(next, place)
          if byte == 0x20 { result += Self.sign } else { result.append(byte) }
        }
        followsSpace = removesSpaces && byte(next, next.end - 1) == 0x20
      }
      at += next.length
    }
    while removesSpaces, result.suffix(Self.sign.count).elementsEqual(Self.sign) {
      result.removeLast(Self.sign.count)
    }
  }

  private func next(
    _ text: UnsafePointer<UInt8>, _ at: Int, _ count: Int, _ mapped: UnsafeBufferPointer<UInt8>
  ) -> Written {
    let length = kept.matchLength(text, at, count)
    if length > 0 { return Written(isMapped: false, start: at, end: at + length, length: length) }
    if let map, let (length, start) = map.longestKey(text, at, count) {
      var end = start
      while mapped[end] != 0 { end += 1 }
      return Written(isMapped: true, start: start, end: end, length: length)
    }
    let one = text[at] < 0x80 ? 1 : decodeScalar(text + at).length
    return Written(isMapped: false, start: at, end: at + one, length: one)
  }
}
