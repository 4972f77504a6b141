import Core
import Files

/// A Parquet file, whose rows are read as JSON Lines: line n is row n.
public struct ParquetTable {
  private let file: MappedFile
  private let schema: ParquetSchema
  private let metadata: ParquetMetadata

  private static let mark = Array("PAR1".utf8)

  public static func isMarked(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: mark) || bytes.starts(with: "PARE".utf8)
  }

  /// Throws `badData` where the file is damaged, or has what is not read.
  public init(_ file: MappedFile) throws {
    self.file = file
    (metadata, schema) = try located(file) {
      let bytes = file.bytes
      if bytes.starts(with: "PARE".utf8) { throw unsupported("encrypted columns") }
      guard bytes.count >= 12, bytes.suffix(4).elementsEqual(Self.mark) else { throw damaged("it ends early") }
      let size = Int(bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt32.self))
      guard size <= bytes.count - 12 else { throw damaged("its footer is longer than the file") }
      let footer = bytes[bytes.count - 8 - size..<bytes.count - 8]
      let metadata = try ParquetMetadata(UnsafeRawBufferPointer(rebasing: footer))
      return (metadata, try ParquetSchema(metadata.elements))
    }
  }

  /// Names of the columns, in order.
  public var columns: [String] { schema.columns.map(\.name) }

  /// Throws `badData` where the file is damaged.
  public func jsonLines() throws -> MappedFile { try jsonLines(mostPageBytes: 4 << 30) }

  /// With at most so many bytes of decompressed pages at the same time.
  package func jsonLines(mostPageBytes: Int) throws -> MappedFile {
    try located(file) {
      var lines = try JSONLines()
      for group in metadata.groups where group.rows > 0 {
        let rows = try RowWriter(file.bytes, schema, group, PageBudget(most: mostPageBytes))
        for _ in 0..<group.rows {
          try rows.writeRow(&lines)
          try lines.endLine()
        }
        try rows.checkEnd()
      }
      return try lines.finish(name: file.path)
    }
  }
}

/// Names the file in what `body` throws.
func located<Result>(_ file: MappedFile, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch var error as SFTError {
    error.file = error.file ?? file.path
    throw error
  }
}
