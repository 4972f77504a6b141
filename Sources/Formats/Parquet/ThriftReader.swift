import Core

/// Reads Thrift's compact protocol, in which Parquet keeps its footer and its page headers. Every length is checked
/// against what is left.
struct ThriftReader {
  /// Of values on the wire.
  enum Kind: UInt8 {
    case isTrue = 1, isFalse, byte, int16, int32, int64, double, binary, list, set, map, structure
  }

  private static let deepest = 32

  private let bytes: UnsafeRawBufferPointer
  private(set) var position = 0
  private var depth = 0

  /// `bytes` must stay valid.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var left: Int { bytes.count - position }

  private mutating func byte() throws -> UInt8 {
    guard position < bytes.count else { throw damaged("a header ends early") }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func unsigned() throws -> UInt64 {
    var (value, shift) = (UInt64(0), UInt64(0))
    while true {
      let next = try byte()
      guard shift < 63 || next <= 1 else { throw damaged("a number in a header is too long") }
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return value }
      shift += 7
    }
  }

  /// Of any integer kind.
  mutating func integer() throws -> Int {
    let value = try unsigned()
    return Int(Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1))
  }

  /// An integer that says how many or how large, at most 2^31.
  mutating func size() throws -> Int {
    let value = try integer()
    guard (0...Int(Int32.max)).contains(value) else { throw damaged("a header says \(value) where a size is meant") }
    return value
  }

  mutating func text() throws -> String {
    let count = try unsigned()
    guard count <= UInt64(left) else { throw damaged("a text in a header ends early") }
    defer { position += Int(count) }
    return String(decoding: bytes[position..<position + Int(count)], as: UTF8.self)
  }

  /// Calls `body` for each element of a list, whose elements are of `kind`.
  mutating func list(_ kind: Kind, _ body: (inout ThriftReader) throws -> Void) throws {
    let (found, count) = try listHeader()
    guard count == 0 || found == kind else { throw damaged("a list in a header holds something else") }
    for _ in 0..<count { try body(&self) }
  }

  private mutating func listHeader() throws -> (kind: Kind, count: Int) {
    let head = try byte()
    let count = head >> 4 == 15 ? try unsigned() : UInt64(head >> 4)
    // An element takes a byte at least.
    guard count <= UInt64(left) else { throw damaged("a list in a header ends early") }
    if count == 0 { return (.byte, 0) }
    return (try kind(head & 15), Int(count))
  }

  private func kind(_ code: UInt8) throws -> Kind {
    guard let kind = Kind(rawValue: code) else { throw damaged("a header has a field of no known kind") }
    return kind
  }

  /// Calls `body` for each field of a structure; what it returns false for is skipped.
  mutating func structure(_ body: (inout ThriftReader, _ field: Int, Kind) throws -> Bool) throws {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw damaged("a header is nested too deeply") }
    var field = 0
    while true {
      let head = try byte()
      if head == 0 { return }
      let kind = try kind(head & 15)
      field = head >> 4 == 0 ? try integer() : field + Int(head >> 4)
      guard (0...Int(Int16.max)).contains(field) else { throw damaged("a header has a field of no known number") }
      if try !body(&self, field, kind) { try skip(kind) }
    }
  }

  private mutating func skip(_ kind: Kind, isElement: Bool = false) throws {
    switch kind {
    case .isTrue, .isFalse: if isElement { _ = try byte() }
    case .byte: _ = try byte()
    case .int16, .int32, .int64: _ = try unsigned()
    case .double: try skip(bytes: 8)
    case .binary: try skip(bytes: Int(clamping: try unsigned()))
    case .list, .set:
      let (kind, count) = try listHeader()
      try nested { reader in for _ in 0..<count { try reader.skip(kind, isElement: true) } }
    case .map:
      let count = try unsigned()
      guard count <= UInt64(left) else { throw damaged("a map in a header ends early") }
      if count == 0 { return }
      let kinds = try byte()
      let (key, value) = (try self.kind(kinds >> 4), try self.kind(kinds & 15))
      try nested { reader in
        for _ in 0..<count {
          try reader.skip(key, isElement: true)
          try reader.skip(value, isElement: true)
        }
      }
    case .structure: try structure { _, _, _ in false }
    }
  }

  private mutating func nested(_ body: (inout ThriftReader) throws -> Void) throws {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw damaged("a header is nested too deeply") }
    try body(&self)
  }

  private mutating func skip(bytes count: Int) throws {
    guard count <= left else { throw damaged("a header ends early") }
    position += count
  }
}

/// Of a Parquet file; who knows its name adds it.
func damaged(_ what: String) -> SFTError { SFTError(.badData, "is a Parquet file that is damaged: \(what)") }

/// Of a Parquet file that may be sound.
func unsupported(_ what: String) -> SFTError {
  SFTError(
    .badData, "is a Parquet file with \(what), which is not read",
    advice: "Write it again: python3 -c 'import pandas, sys; pandas.read_parquet(sys.argv[1]).to_parquet(sys.argv[2])' "
      + "FILE NEW.parquet")
}
