import Core

/// The error for valid JSON in which an object holds a name twice; O(bytes), for after it is known that one does.
package func duplicateKey(in bytes: UnsafeRawBufferPointer, file: String, firstLine: Int) -> SFTError {
  var finder = DuplicateFinder(bytes)
  guard let (name, offset) = finder.firstDuplicate() else {
    return SFTError(.internalError, "json-c has lost a member of an object", file: file, line: firstLine)
  }
  let line = firstLine + countLines(UnsafeRawBufferPointer(rebasing: bytes[..<offset]))
  return SFTError(.badData, "holds the name \"\(name)\" twice in one object", file: file, line: line)
}

/// Walks over valid JSON and remembers the names of every object that is open.
private struct DuplicateFinder {
  private let bytes: UnsafeRawBufferPointer
  private var scanner: JSONScanner
  /// The names of each open object; nil for an array.
  private var open: [Set<ExactKey>?] = []

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    scanner = JSONScanner(bytes)
  }

  mutating func firstDuplicate() -> (name: String, offset: Int)? {
    while let byte = scanner.peek {
      switch byte {
      case UInt8(ascii: "{"): open.append([])
      case UInt8(ascii: "["): open.append(Optional<Set<ExactKey>>.none)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = open.popLast()
      case UInt8(ascii: "\""):
        if let found = string() { return found }
        continue
      default: break
      }
      scanner.position += 1
    }
    return nil
  }

  /// Steps over a string, which is a name when a colon follows; returned when its object holds it already.
  private mutating func string() -> (name: String, offset: Int)? {
    let start = scanner.position
    guard (try? scanner.scanString()) != nil else {
      scanner.position = bytes.count
      return nil
    }
    let literal = UnsafeRawBufferPointer(rebasing: bytes[start..<scanner.position])
    scanner.skipSpace()
    guard scanner.peek == UInt8(ascii: ":"), !open.isEmpty, open[open.count - 1] != nil else { return nil }
    // json-c resolves the escapes.
    let decoded = try? Tokener().withValue(literal) { String(decoding: stringBytes($0), as: UTF8.self) }
    guard let name = decoded else { return nil }
    let isNew = open[open.count - 1]?.insert(ExactKey(text: name)).inserted ?? true
    return isNew ? nil : (name, start)
  }
}
