import Core
import Files
import JSON

/// Calls `body` with each row of a data file as a line of JSON, as it is read before anything is made of it; `body`
/// returns whether it wants more.
///
/// Throws `badData` where the file is damaged, or is none that rows are read from.
public func forEachRow(_ file: MappedFile, _ body: (UnsafeRawBufferPointer) throws -> Bool) throws {
  let content = try readable(file)
  var splitter = try Splitter(content, chunkBytes: 1 << 20)
  while let chunk = try splitter.next() {
    if let elements = chunk.elements {
      for range in elements {
        let element = UnsafeRawBufferPointer(rebasing: content.bytes[range])
        // An element may stand on several lines.
        let line = Array(try parseJSON(element, file: content.path).serialized.utf8)
        guard try line.withUnsafeBytes(body) else { return }
      }
    } else {
      for line in content.bytes[chunk.range].split(separator: UInt8(ascii: "\n")) {
        guard try body(UnsafeRawBufferPointer(rebasing: line)) else { return }
      }
    }
    content.advise(chunk.range, .dontNeed)
  }
}
