import Core

/// What a Parquet file's footer says.
struct ParquetMetadata {
  struct Element {
    var type: Int?
    var length = 0
    /// 0 required, 1 optional, 2 repeated.
    var repetition = 0
    var name = ""
    var children = 0
    var converted: Int?
    var scale = 0
    var logical: Logical?
  }

  /// Logical types that change how a value is written, or what a group means.
  enum Logical: Equatable {
    case text, map, list, decimal(scale: Int), date, time(Unit), timestamp(Unit), integer(isSigned: Bool), unknown
    case uuid, float16, other
  }

  enum Unit: Int { case milliseconds = 1, microseconds, nanoseconds }

  /// A column of a row group.
  struct Chunk {
    var type = -1
    var codec = 0
    var values = 0
    /// Of all its pages.
    var compressed = 0
    var data = 0
    var dictionary: Int?
  }

  struct RowGroup {
    var chunks: [Chunk] = []
    var rows = 0
  }

  var elements: [Element] = []
  var rows = 0
  var groups: [RowGroup] = []
  private var isEncrypted = false

  init(_ footer: UnsafeRawBufferPointer) throws {
    var reader = ThriftReader(footer)
    var (elements, rows, groups, isEncrypted) = ([Element](), 0, [RowGroup](), false)
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (2, .list): try reader.list(.structure) { elements.append(try Self.element(&$0)) }
      case (3, .int64): rows = try reader.integer()
      case (4, .list): try reader.list(.structure) { groups.append(try Self.group(&$0)) }
      case (8, _):
        isEncrypted = true
        return false
      default: return false
      }
      return true
    }
    if isEncrypted { throw unsupported("encrypted columns") }
    guard rows >= 0, groups.allSatisfy({ $0.rows >= 0 }) else { throw damaged("it has less than no rows") }
    guard !elements.isEmpty else { throw damaged("it has no schema") }
    (self.elements, self.rows, self.groups) = (elements, rows, groups)
  }

  private static func element(_ reader: inout ThriftReader) throws -> Element {
    var element = Element()
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .int32): element.type = try reader.integer()
      case (2, .int32): element.length = try reader.size()
      case (3, .int32): element.repetition = try reader.integer()
      case (4, .binary): element.name = try reader.text()
      case (5, .int32): element.children = try reader.size()
      case (6, .int32): element.converted = try reader.integer()
      case (7, .int32): element.scale = try reader.integer()
      case (10, .structure): element.logical = try logical(&reader)
      default: return false
      }
      return true
    }
    return element
  }

  private static func logical(_ reader: inout ThriftReader) throws -> Logical? {
    var found: Logical?
    try reader.structure { reader, field, kind in
      guard kind == .structure else { return false }
      switch field {
      case 1, 4, 12: found = .text
      case 2: found = .map
      case 3: found = .list
      case 5:
        var scale = 0
        try reader.structure { reader, field, kind in
          guard field == 1, kind == .int32 else { return false }
          scale = try reader.integer()
          return true
        }
        found = .decimal(scale: scale)
        return true
      case 6: found = .date
      case 7, 8:
        let unit = try unit(&reader)
        found = field == 7 ? .time(unit) : .timestamp(unit)
        return true
      case 10:
        var isSigned = true
        try reader.structure { _, field, kind in
          if field == 2 { isSigned = kind == .isTrue }
          return false
        }
        found = .integer(isSigned: isSigned)
        return true
      case 11: found = .unknown
      case 14: found = .uuid
      case 15: found = .float16
      default: found = .other
      }
      return false
    }
    return found
  }

  private static func unit(_ reader: inout ThriftReader) throws -> Unit {
    var unit = Unit.milliseconds
    try reader.structure { reader, field, kind in
      guard field == 2, kind == .structure else { return false }
      try reader.structure { _, field, _ in
        unit = Unit(rawValue: field) ?? unit
        return false
      }
      return true
    }
    return unit
  }

  private static func group(_ reader: inout ThriftReader) throws -> RowGroup {
    var group = RowGroup()
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .list): try reader.list(.structure) { group.chunks.append(try column(&$0)) }
      case (3, .int64): group.rows = try reader.integer()
      default: return false
      }
      return true
    }
    return group
  }

  private static func column(_ reader: inout ThriftReader) throws -> Chunk {
    var chunk: Chunk?
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .binary): throw unsupported("columns in other files")
      case (3, .structure): chunk = try columnMetadata(&reader)
      case (8, _), (9, _): throw unsupported("encrypted columns")
      default: return false
      }
      return true
    }
    guard let chunk else { throw damaged("a column has no description") }
    return chunk
  }

  private static func columnMetadata(_ reader: inout ThriftReader) throws -> Chunk {
    var chunk = Chunk()
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .int32): chunk.type = try reader.integer()
      case (4, .int32): chunk.codec = try reader.integer()
      case (5, .int64): chunk.values = try reader.integer()
      case (7, .int64): chunk.compressed = try reader.integer()
      case (9, .int64): chunk.data = try reader.integer()
      case (11, .int64): chunk.dictionary = try reader.integer()
      default: return false
      }
      return true
    }
    return chunk
  }
}

/// What stands before a page.
struct PageHeader {
  enum Kind: Int { case data, index, dictionary, dataV2 }

  var kind: Kind?
  /// Bytes after decompression, with the levels.
  var size = 0
  var compressedSize = 0
  var values = 0
  var encoding = -1
  /// Encoding of the levels, version 1: 3 is the only one in use.
  var levelEncodings = [3, 3]
  /// Bytes of the levels, version 2, which are not compressed.
  var (repetitionBytes, definitionBytes) = (0, 0)
  var isCompressed = true

  init(_ reader: inout ThriftReader) throws {
    var header = self
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .int32): header.kind = Kind(rawValue: try reader.integer())
      case (2, .int32): header.size = try reader.size()
      case (3, .int32): header.compressedSize = try reader.size()
      case (5, .structure), (7, .structure), (8, .structure): try header.readDescription(&reader, isV2: field == 8)
      default: return false
      }
      return true
    }
    self = header
  }

  private mutating func readDescription(_ reader: inout ThriftReader, isV2: Bool) throws {
    var header = self
    try reader.structure { reader, field, kind in
      switch (field, kind) {
      case (1, .int32): header.values = try reader.size()
      case (2, .int32) where !isV2: header.encoding = try reader.integer()
      case (3, .int32) where !isV2: header.levelEncodings[0] = try reader.integer()
      case (4, .int32) where !isV2: header.levelEncodings[1] = try reader.integer()
      case (4, .int32): header.encoding = try reader.integer()
      case (5, .int32) where isV2: header.definitionBytes = try reader.size()
      case (6, .int32) where isV2: header.repetitionBytes = try reader.size()
      case (7, .isFalse) where isV2: header.isCompressed = false
      default: return false
      }
      return true
    }
    self = header
  }
}
