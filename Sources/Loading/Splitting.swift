import Core
import Files
import Glibc
import JSON

/// Divides a file into chunks that can be parsed independently, from start to end.
enum Splitter {
  case lines(LineSplitter)
  case elements(ElementSplitter)

  /// The format is seen by the first byte that is neither a byte order mark nor white space: `[` opens an array of
  /// records, which one object may hold in its only array of objects, as in `{"data": […]}`; anything else is one record a line.
  init(_ file: MappedFile, chunkBytes: Int, columns: ColumnNames = ColumnNames()) throws {
    let bytes = file.bytes
    if let foreign = ForeignFormat.container(bytes) ?? ForeignFormat.notJSON(file) { throw foreign.error(file.path) }
    let start = bytes.count - withoutByteOrderMark(bytes).count
    if let outline = ObjectOutline(withoutByteOrderMark(bytes)), let records = outline.records(columns) {
      let end = start + records.upperBound
      self = .elements(
        ElementSplitter(
          file: file, chunkBytes: chunkBytes, start: start, opening: start + records.lowerBound, end: end))
      return
    }
    var scanner = JSONScanner(bytes, at: start)
    scanner.skipSpace()
    guard let first = scanner.peek else { throw SFTError(.badData, "holds no records", file: file.path) }
    if first == UInt8(ascii: "[") {
      self = .elements(ElementSplitter(file: file, chunkBytes: chunkBytes, start: start, opening: scanner.position))
    } else {
      self = .lines(LineSplitter(file: file, chunkBytes: chunkBytes, position: start))
    }
  }

  /// The next chunk, nil at the end of the file. Chunks adjoin each other.
  mutating func next() throws -> Chunk? {
    switch self {
    case .lines(var lines):
      defer { self = .lines(lines) }
      return lines.next()
    case .elements(var elements):
      defer { self = .elements(elements) }
      return try elements.next()
    }
  }
}

/// Whole lines, at least `chunkBytes` of them.
struct LineSplitter {
  let file: MappedFile
  let chunkBytes: Int
  var position: Int

  mutating func next() -> Chunk? {
    guard position < file.count else { return nil }
    let start = position
    let least = min(start + chunkBytes, file.count) - 1
    let rest = UnsafeRawBufferPointer(rebasing: file.bytes[least...])
    position = offsetOfLineFeed(rest).map { least + $0 + 1 } ?? file.count
    return Chunk(range: start..<position, elements: nil)
  }
}

/// Whole elements of an array, at least `chunkBytes` of them; only brackets and quotes are looked at.
struct ElementSplitter {
  private enum State { case opening, element, separator, end }

  private let file: MappedFile
  private let chunkBytes: Int
  /// End of the last chunk.
  private var position: Int
  private var scanner: JSONScanner
  private var state = State.opening
  /// Found after elements that must be handed out first.
  private var failure: SFTError?

  /// The array goes from the bracket at `opening` to `end`, or to that of the file. Chunks begin at `start`, so that
  /// lines are counted from there.
  init(file: MappedFile, chunkBytes: Int, start: Int, opening: Int, end: Int? = nil) {
    self.file = file
    self.chunkBytes = chunkBytes
    position = start
    scanner = JSONScanner(UnsafeRawBufferPointer(rebasing: file.bytes[..<(end ?? file.count)]), at: opening + 1)
  }

  mutating func next() throws -> Chunk? {
    if let failure { throw failure }
    guard state != .end else { return nil }
    let start = position
    var elements: [Range<Int>] = []
    do throws(JSONSyntaxError) {
      while state != .end, scanner.position - start < chunkBytes {
        if let element = try step() { elements.append(element) }
      }
    } catch {
      // Lines are counted from the start of the file, once.
      failure = error.located(in: file.bytes, file: file.path, firstLine: 1)
    }
    position = scanner.position
    if let failure, elements.isEmpty { throw failure }
    return Chunk(range: start..<position, elements: elements)
  }

  /// Steps over an element or what is between elements.
  private mutating func step() throws(JSONSyntaxError) -> Range<Int>? {
    scanner.skipSpace()
    switch state {
    case .opening where scanner.skip(UInt8(ascii: "]")): try finish()
    case .opening, .element:
      state = .separator
      return try delimit()
    case .separator where scanner.skip(UInt8(ascii: ",")): state = .element
    case .separator where scanner.skip(UInt8(ascii: "]")): try finish()
    case .separator:
      let found = scanner.peek == nil ? "the file ends" : "something else follows"
      throw JSONSyntaxError(
        offset: scanner.position, message: "a comma or ] is expected after an element of the array, but \(found)")
    case .end: break
    }
    return nil
  }

  private mutating func delimit() throws(JSONSyntaxError) -> Range<Int> {
    let start = scanner.position
    do {
      return try scanner.delimitValue()
    } catch {
      // The grammar says better what is wrong than the brackets do.
      var strict = JSONScanner(file.bytes, at: start)
      _ = try strict.scanValue()
      throw error
    }
  }

  private mutating func finish() throws(JSONSyntaxError) {
    scanner.skipSpace()
    guard scanner.peek == nil else {
      throw JSONSyntaxError(offset: scanner.position, message: "there is text after the end of the array")
    }
    state = .end
  }
}

/// Offset of the first line feed.
func offsetOfLineFeed(_ bytes: UnsafeRawBufferPointer) -> Int? {
  guard let base = bytes.baseAddress, let found = memchr(base, 0x0a, bytes.count) else { return nil }
  return UnsafeRawPointer(found) - base
}
