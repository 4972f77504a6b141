import Core
import Crypto

/// A SHA-256 digest as 64 lower-case hexadecimal digits.
public struct Digest: Sendable, Hashable, Codable, CustomStringConvertible {
  public let hex: String

  /// What no content has: stands where a digest is to come.
  public static let zero = Digest(repeatElement(0, count: 32))

  /// nil unless `hex` is 64 lower-case hexadecimal digits.
  public init?(hex: String) {
    guard hex.utf8.count == 64, hex.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
      return nil
    }
    self.hex = hex
  }

  fileprivate init(_ bytes: some Sequence<UInt8>) {
    let digits = Array("0123456789abcdef".utf8)
    hex = String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let digest = Digest(hex: try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a SHA-256 digest")
    }
    self = digest
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hex)
  }

  public var description: String { hex }
  /// Enough digits to tell things apart on a screen.
  public var short: String { String(hex.prefix(12)) }

  public init(of bytes: UnsafeRawBufferPointer) {
    var digester = Digester()
    digester.update(bytes)
    self = digester.finish()
  }

  public init(of text: String) {
    var digester = Digester()
    digester.update(text)
    self = digester.finish()
  }

  public init(ofFile path: String) throws { self.init(of: try MappedFile(path)) }

  /// Of a file's content, of which no more than a piece is resident at a time.
  public init(of file: MappedFile) {
    var digester = Digester()
    for start in stride(from: 0, to: file.count, by: 1 << 20) {
      let piece = start..<min(start + 1 << 20, file.count)
      digester.update(UnsafeRawBufferPointer(rebasing: file.bytes[piece]))
      file.advise(piece, .dontNeed)
    }
    self = digester.finish()
  }
}

/// SHA-256 over a sequence of pieces. Strings and integers are framed, so that ("ab", "c") and ("a", "bc") differ.
public struct Digester {
  private var hash = SHA256()

  public init() {}

  /// Raw bytes, unframed: the caller frames them by an integer first where lengths vary.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

  public mutating func update(_ value: Int) {
    withUnsafeBytes(of: Int64(value).littleEndian) { hash.update(bufferPointer: $0) }
  }

  public mutating func update(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      update(utf8.count)
      hash.update(bufferPointer: UnsafeRawBufferPointer(utf8))
    }
  }

  public mutating func update(_ digest: Digest) { update(digest.hex) }

  public func finish() -> Digest { Digest(hash.finalize()) }
}
