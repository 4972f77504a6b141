import Core
import Files
import JSON

extension DataFormat {
  /// So many records of a file are looked at.
  private static let sampleSize = 64

  /// The format of a file's records, by what the first of them hold that is not null; nil where that tells nothing.
  init?(of file: MappedFile) {
    guard var splitter = try? Splitter(file, chunkBytes: 1 << 16), let chunk = try? splitter.next() else { return nil }
    var names = Set<String>()
    for range in Self.records(in: chunk, file).prefix(Self.sampleSize) {
      guard let record = ObjectOutline(UnsafeRawBufferPointer(rebasing: file.bytes[range])) else { continue }
      for member in record.members where !record.bytes[member.value].elementsEqual("null".utf8) {
        names.insert(member.name)
      }
    }
    self.init(members: names)
  }

  private static func records(in chunk: Chunk, _ file: MappedFile) -> [Range<Int>] {
    if let elements = chunk.elements { return elements }
    return file.bytes[chunk.range].split(separator: UInt8(ascii: "\n"), maxSplits: 2 * sampleSize).map {
      $0.startIndex..<$0.endIndex
    }
  }
}
