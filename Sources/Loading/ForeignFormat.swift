import Core
import Files
import JSON

/// A format that records and questions are not read from, seen by a file's content: what it is, and what its owner can do.
public struct ForeignFormat: Sendable, Equatable {
  /// Half a sentence that follows the file's name.
  public var description: String
  public var advice: String

  /// nil for JSON, JSON Lines and plain text. Looks at the first bytes, and at a file that is one JSON object as a whole.
  public init?(_ file: MappedFile) {
    let text = withoutByteOrderMark(file.bytes)
    let found = Self.container(file.bytes) ?? Self.wrapper(text)
    guard let found else { return nil }
    self = found
  }

  init(_ description: String, advice: String) {
    self.description = description
    self.advice = advice
  }

  public func error(_ file: String) -> SFTError { SFTError(.badData, description, file: file, advice: advice) }

  /// Text without a line that could be a record, or no text at all.
  static func notJSON(_ file: MappedFile) -> ForeignFormat? {
    let head = withoutByteOrderMark(file.bytes).prefix(1 << 16)
    let lines = head.split(separator: UInt8(ascii: "\n")).map { $0.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d } }
    guard let first = lines.first(where: { !$0.isEmpty }), !isJSON(first),
      !lines.contains(where: { $0.first == UInt8(ascii: "{") || $0.first == UInt8(ascii: "[") })
    else { return nil }
    if head.contains(0) {
      return ForeignFormat("is a binary file, not JSON", advice: "Give records as JSON Lines or as a JSON array")
    }
    return ForeignFormat(
      "is text, not JSON",
      advice: "Write each record on a line of its own: {\"instruction\": \"…\", \"output\": \"…\"}")
  }

  private static func isJSON(_ line: Slice<UnsafeRawBufferPointer>) -> Bool {
    var scanner = JSONScanner(UnsafeRawBufferPointer(rebasing: line))
    return (try? scanner.scanDocument()) != nil
  }
}

// MARK: - What the first bytes say

extension ForeignFormat {
  private static let containers: [(signature: [UInt8], format: ForeignFormat)] = [
    ([0x1f, 0x8b], ForeignFormat("is compressed twice", advice: "Decompress it first: gunzip FILE")),
    ([0x28, 0xb5, 0x2f, 0xfd], ForeignFormat("is compressed twice", advice: "Decompress it first: unzstd FILE")),
    (Array("BZh".utf8), ForeignFormat("is compressed with bzip2", advice: "Decompress it first: bunzip2 FILE")),
    ([0xfd] + Array("7zXZ".utf8), ForeignFormat("is compressed with xz", advice: "Decompress it first: unxz FILE")),
    (
      Array("PK\u{3}\u{4}".utf8),
      ForeignFormat(
        "is a zip archive, as spreadsheets are too",
        advice: "Unpack it and give the files in it; save a spreadsheet as CSV and convert that to JSON Lines")
    ),
    (
      Array("ARROW1".utf8),
      ForeignFormat(
        "is an Arrow table",
        advice: "Convert it to Parquet: python3 -c 'import pandas, sys; "
          + "pandas.read_feather(sys.argv[1]).to_parquet(sys.argv[2])' FILE NEW.parquet")
    ),
    (
      // What datasets.save_to_disk and its cache hold.
      [0xff, 0xff, 0xff, 0xff],
      ForeignFormat("is an Arrow stream", advice: "Save the dataset as Parquet: Dataset.to_parquet(\"NEW.parquet\")")
    ),
    (Array("SQLite format 3".utf8), ForeignFormat("is an SQLite database", advice: "Export its records as JSON Lines")),
    (Array("%PDF".utf8), ForeignFormat("is a PDF document", advice: "Give records as JSON Lines")),
    ([0xff, 0xfe], utf16), ([0xfe, 0xff], utf16),
  ]

  private static let utf16 = ForeignFormat("is in UTF-16", advice: "Convert it to UTF-8")

  static func container(_ bytes: UnsafeRawBufferPointer) -> ForeignFormat? {
    if bytes.dropFirst(257).starts(with: "ustar".utf8) {
      return ForeignFormat("is a tar archive", advice: "Unpack it and give the files in it")
    }
    return containers.first { bytes.starts(with: $0.signature) }?.format
  }

  /// One JSON object that holds the records in a member of its own.
  private static func wrapper(_ text: UnsafeRawBufferPointer) -> ForeignFormat? {
    guard let outline = ObjectOutline(text), let name = outline.recordsMember else { return nil }
    return ForeignFormat(
      "is one JSON object, which holds the records in its \"\(name)\"",
      advice: "Give those alone: jq -c '\(jqPath(name))[]' FILE > NEW.jsonl")
  }
}
