import Core

/// The first line of a table of text (CSV, TSV) that names its columns.
struct TableHeader {
  private let separator: Character
  private let columns: [String]

  private static let extensions = [".csv", ".tsv", ".tab"]
  /// Of the first line nothing beyond this many bytes is looked at.
  private static let limit = 1 << 14

  /// nil for JSON, and for a line that is no header: where the path says that it is a table any line is one; elsewhere
  /// it must have two columns at least, one of which has a name that records use.
  init?(_ text: UnsafeRawBufferPointer, path: String) {
    let line = text.prefix(Self.limit).prefix { $0 != UInt8(ascii: "\n") }
    guard let first = line.first(where: { $0 != 0x20 }), first != UInt8(ascii: "{"), first != UInt8(ascii: "[") else {
      return nil
    }
    let header = String(decoding: line, as: UTF8.self)
    let isNamedTable = Self.extensions.contains { path.lowercased().hasSuffix($0) }
    let readings = (["\t", ",", ";"] as [Character]).map { (separator: $0, columns: Self.fields(header, $0)) }
    let isHeader = { (columns: [String]) in
      columns.count > 1 && (isNamedTable || columns.contains { FieldNames.isKnown($0) })
    }
    guard let reading = readings.first(where: { isHeader($0.columns) }) ?? (isNamedTable ? readings[1] : nil) else {
      return nil
    }
    (separator, columns) = reading
  }

  private static func fields(_ line: String, _ separator: Character) -> [String] {
    var fields = [""]
    var isQuoted = false
    for character in line where character != "\r" {
      if character == "\"" {
        isQuoted.toggle()
      } else if character == separator, !isQuoted {
        fields.append("")
      } else {
        fields[fields.count - 1].append(character)
      }
    }
    return fields
  }

  var description: String {
    "is \(separator == "\t" ? "TSV" : "CSV"), not JSON, with the column\(columns.count == 1 ? "" : "s") "
      + quotedList(columns)
  }

  var advice: String {
    let isNamed = columns.contains("instruction") && columns.contains("output")
    let delimiter = separator == "\t" ? ", delimiter=\"\\t\"" : separator == ";" ? ", delimiter=\";\"" : ""
    let names = "Name its columns \"instruction\", \"output\" and perhaps \"input\", and convert it"
    return (isNamed ? "Convert it" : names)
      + " to JSON Lines: python3 -c 'import csv, json; [print(json.dumps(row)) for row in csv.DictReader(open(0, "
      + "newline=\"\", encoding=\"utf-8-sig\")\(delimiter))]' < FILE > NEW.jsonl"
  }
}
