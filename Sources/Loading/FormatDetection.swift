import Core
import Files
import JSON

extension DataFormat {
  /// So many records of a file are looked at.
  private static let sampleSize = 64

  /// The format of a file's records, by what the first of them hold that is not null; nil where that tells nothing. Fields that
  /// `columns` names tell before others. Throws `badData` where the file does not have those columns.
  init?(of file: MappedFile, _ columns: ColumnNames) throws {
    guard var splitter = try? Splitter(file, chunkBytes: 1 << 16, columns: columns), let chunk = try? splitter.next()
    else { return nil }
    var (listed, seen, names) = ([String](), Set<String>(), Set<String>())
    for range in Self.records(in: chunk, file).prefix(Self.sampleSize) {
      guard let record = ObjectOutline(UnsafeRawBufferPointer(rebasing: file.bytes[range])) else { continue }
      for member in record.members {
        if seen.insert(member.name).inserted { listed.append(member.name) }
        if !record.bytes[member.value].elementsEqual("null".utf8) { names.insert(member.name) }
      }
    }
    try columns.check(listed, file: file.path)
    guard let found = DataFormat(members: Set(columns.columns.keys)) ?? DataFormat(members: columns.fields(names))
    else {
      return nil
    }
    self = found
  }

  private static func records(in chunk: Chunk, _ file: MappedFile) -> [Range<Int>] {
    if let elements = chunk.elements { return elements }
    return file.bytes[chunk.range].split(separator: UInt8(ascii: "\n"), maxSplits: 2 * sampleSize).map {
      $0.startIndex..<$0.endIndex
    }
  }
}
