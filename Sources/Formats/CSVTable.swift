import Core
import Files

/// Comma-separated values (RFC 4180), or values separated by tabs or semicolons, under a line that names the columns;
/// read as JSON Lines of texts that keep the lines' numbers.
public struct CSVTable {
  private let separator: UInt8
  public let columns: [String]
  private let file: MappedFile
  /// After the byte order mark.
  private let start: Int

  private static let extensions = [".csv", ".tsv", ".tab"]
  /// Of the first record nothing beyond this many bytes is looked at to find out what it is.
  private static let headLimit = 1 << 14

  /// What a file of this name is by its name alone: a table of text, perhaps compressed.
  static func isNamed(_ path: String) -> Bool {
    var name = path.lowercased()
    for ending in [".gz", ".zst"] where name.hasSuffix(ending) { name.removeLast(ending.count) }
    return extensions.contains { name.hasSuffix($0) }
  }

  /// Whether it looks like a column's name, and not like a part of a sentence.
  private static func isName(_ text: String) -> Bool {
    (1...64).contains(text.count) && text.count { $0 == " " } <= 1 && !text.hasPrefix(" ")
  }

  /// nil for JSON, and for a line that is no header: where the path says that the file is a table any line is one;
  /// elsewhere it must have two columns at least, one of which `isColumn` knows.
  public init?(_ file: MappedFile, isColumn: (String) -> Bool) {
    start = file.bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
    self.file = file
    let head = UnsafeRawBufferPointer(rebasing: file.bytes[start...].prefix(Self.headLimit))
    // No text has a zero in it: an archive, or UTF-16, is something else whatever its name is.
    guard let first = head.first(where: { $0 != 0x20 }), first != UInt8(ascii: "{"), first != UInt8(ascii: "["),
      !head.contains(0), !file.bytes.starts(with: [0xff, 0xfe]), !file.bytes.starts(with: [0xfe, 0xff])
    else { return nil }
    let isNamed = Self.isNamed(file.path)
    let readings = ([0x09, 0x2c, 0x3b] as [UInt8]).map { separator -> (separator: UInt8, columns: [String]) in
      var reader = CSVReader(head, separator)
      let fields = (try? reader.next())?.map(\.text) ?? []
      return (separator, fields)
    }
    let found =
      readings.first { reading in
        reading.columns.count > 1
          && (isNamed || (reading.columns.contains(where: isColumn) && reading.columns.allSatisfy(Self.isName)))
      }
      ?? (isNamed && !readings[1].columns.isEmpty ? readings[1] : nil)
    guard let found else { return nil }
    (separator, columns) = found
  }

  /// Line n of the result is what begins on line n of the file. `bad` gets each record that has not as many fields as there are
  /// columns; the others are read on. Throws `badData` where a quote is not closed.
  public func jsonLines(bad: (SFTError) throws -> Void) throws -> MappedFile {
    if let twice = Dictionary(grouping: columns, by: \.self).first(where: { $0.value.count > 1 })?.key {
      throw SFTError(.badData, "has two columns named \"\(twice)\"", file: file.path, line: 1)
    }
    return try located(file) {
      var lines = try JSONLines()
      let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start...])
      var reader = CSVReader(bytes, separator)
      _ = try reader.next()
      try checkUTF8(bytes[..<reader.position], line: 1)
      for _ in 1..<reader.line { try lines.endLine() }
      while true {
        let (line, begin) = (reader.line, reader.position)
        guard let fields = try reader.next() else { break }
        try checkUTF8(bytes[begin..<reader.position], line: line)
        if fields.count == 1, fields[0].count == 0 {
          // A line without anything on it.
        } else if fields.count == columns.count {
          write(fields, &lines)
        } else {
          try bad(
            SFTError(
              .badData,
              "the row has \(counted(fields.count, "field")) where the header has \(counted(columns.count, "column"))",
              file: file.path, line: line, advice: Self.quoteAdvice))
        }
        for _ in line..<reader.line { try lines.endLine() }
      }
      return try lines.finish(name: file.path)
    }
  }

  private func checkUTF8(_ bytes: Slice<UnsafeRawBufferPointer>, line: Int) throws {
    guard !isUTF8(UnsafeRawBufferPointer(rebasing: bytes)) else { return }
    throw SFTError(
      .badData, "is not UTF-8", file: file.path, line: line,
      advice: "Convert it; a Korean spreadsheet is often CP949: iconv -f CP949 -t UTF-8 FILE > NEW.csv")
  }

  private static let quoteAdvice = "A field that holds the separator, a quote or the end of a line stands in quotes"

  private func write(_ fields: [CSVReader.Field], _ lines: inout JSONLines) {
    lines.append("{")
    for (index, field) in fields.enumerated() {
      if index > 0 { lines.append(",") }
      lines.appendString(columns[index])
      lines.append(":")
      if field.hasQuotes {
        field.unquoted.withUnsafeBytes { lines.appendString($0) }
      } else {
        lines.appendString(field.bytes)
      }
    }
    lines.append("}")
  }
}

/// The records of a table of text.
struct CSVReader {
  struct Field {
    /// Without the quotes around it.
    var bytes: UnsafeRawBufferPointer
    /// Whether quotes in it stand twice.
    var hasQuotes: Bool

    var count: Int { bytes.count }

    var unquoted: [UInt8] {
      var result: [UInt8] = []
      result.reserveCapacity(bytes.count)
      var isSecond = false
      for byte in bytes {
        if byte == UInt8(ascii: "\""), isSecond {
          isSecond = false
          continue
        }
        isSecond = byte == UInt8(ascii: "\"")
        result.append(byte)
      }
      return result
    }

    var text: String { hasQuotes ? String(decoding: unquoted, as: UTF8.self) : String(decoding: bytes, as: UTF8.self) }
  }

  private let bytes: UnsafeRawBufferPointer
  private let separator: UInt8
  private(set) var position = 0
  /// On which the next record begins, from 1.
  private(set) var line = 1

  init(_ bytes: UnsafeRawBufferPointer, _ separator: UInt8) {
    self.bytes = bytes
    self.separator = separator
  }

  /// nil at the end. A line without anything on it is a record of one empty field.
  mutating func next() throws -> [Field]? {
    guard position < bytes.count else { return nil }
    var fields: [Field] = []
    while true {
      fields.append(try field())
      guard position < bytes.count else {
        line += 1
        return fields
      }
      let end = bytes[position]
      position += 1
      if end == separator {
        // It may be the last byte.
        if position == bytes.count {
          fields.append(Field(bytes: UnsafeRawBufferPointer(rebasing: bytes[position...]), hasQuotes: false))
          line += 1
          return fields
        }
        continue
      }
      if end == 0x0d, position < bytes.count, bytes[position] == 0x0a { position += 1 }
      line += 1
      return fields
    }
  }

  /// Up to the separator or the end of the line.
  private mutating func field() throws -> Field {
    guard bytes[position] == UInt8(ascii: "\"") else {
      let start = position
      while position < bytes.count, !isEnd(bytes[position]) { position += 1 }
      return Field(bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), hasQuotes: false)
    }
    let (start, first) = (position + 1, line)
    position += 1
    var hasQuotes = false
    while position < bytes.count {
      let byte = bytes[position]
      if byte == 0x0a { line += 1 }
      guard byte == UInt8(ascii: "\"") else {
        position += 1
        continue
      }
      guard position + 1 < bytes.count, bytes[position + 1] == byte else {
        let field = Field(bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), hasQuotes: hasQuotes)
        position += 1
        guard position == bytes.count || isEnd(bytes[position]) else {
          throw SFTError(
            .badData, "text follows a quote that ends a field", line: line,
            advice: "Write a quote within a field twice")
        }
        return field
      }
      hasQuotes = true
      position += 2
    }
    throw SFTError(.badData, "a quote is opened that is never closed", line: first)
  }

  private func isEnd(_ byte: UInt8) -> Bool {
    byte == separator || byte == 0x0a || byte == 0x0d
  }
}

/// ASCII is seen quickly.
private func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var index = 0
  while index + 8 <= bytes.count {
    if bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
    index += 8
  }
  let rest = bytes[index...]
  return rest.allSatisfy { $0 < 0x80 } || String(validating: rest, as: UTF8.self) != nil
}
