import Core

/// A leaf column of a row group, entry by entry: with each its levels, and its value where it is defined. A page is
/// held at a time.
final class ColumnReader {
  /// Entries of a page, at most.
  private static let mostValues = 1 << 26

  let leaf: ParquetSchema.Leaf
  private var pages: PageReader
  private var dictionary: PageValues?
  /// Entries that have not been read from pages.
  private var left: Int
  private var repetitions: [UInt8] = []
  private var definitions: [UInt8] = []
  private(set) var values = PageValues()
  private var entries = 0
  private var entry = 0
  /// Among the values of the page.
  private(set) var value = 0

  init(
    _ file: UnsafeRawBufferPointer, _ leaf: ParquetSchema.Leaf, _ chunk: ParquetMetadata.Chunk, _ budget: PageBudget
  ) throws {
    guard chunk.type == leaf.storage.rawValue, chunk.values >= 0 else {
      throw damaged("a column is of another type than the schema says")
    }
    self.leaf = leaf
    pages = try PageReader(file, chunk, budget)
    left = chunk.values
    try load()
  }

  var isAtEnd: Bool { entry == entries }

  /// 0 where a row begins.
  var repetition: Int { isAtEnd ? 0 : leaf.repetition == 0 ? 0 : Int(repetitions[entry]) }

  /// Throws where there is no entry.
  func definition() throws -> Int {
    guard entry < entries else { throw damaged("a column has too few values") }
    return leaf.definition == 0 ? 0 : Int(definitions[entry])
  }

  func advance() throws {
    guard entry < entries else { throw damaged("a column has too few values") }
    if leaf.definition == 0 || Int(definitions[entry]) == leaf.definition { value += 1 }
    entry += 1
    if entry == entries { try load() }
  }

  /// The next page that has entries.
  private func load() throws {
    (entry, entries, value) = (0, 0, 0)
    while entries == 0, left > 0 {
      guard let page = try pages.next() else { throw damaged("a column has too few values") }
      if page.header.kind == .dictionary {
        guard dictionary == nil, page.header.values <= page.bytes.count || page.header.values == 0 else {
          throw damaged("a dictionary has too few values")
        }
        dictionary = try page.bytes.withUnsafeBytes {
          try PageValues(
            $0, encoding: 0, leaf.storage, length: leaf.length, count: page.header.values, dictionary: nil)
        }
      } else {
        try read(page)
      }
    }
  }

  private func read(_ page: PageReader.Page) throws {
    let header = page.header
    guard header.values <= left, header.values <= Self.mostValues else { throw damaged("a page has too many values") }
    try page.bytes.withUnsafeBytes { bytes in
      var position = 0
      if header.kind == .dataV2 {
        try readLevels(bytes[0..<header.repetitionBytes], leaf.repetition, header.values, &repetitions)
        position = header.repetitionBytes + header.definitionBytes
        try readLevels(bytes[header.repetitionBytes..<position], leaf.definition, header.values, &definitions)
      } else {
        guard
          header.levelEncodings.enumerated().allSatisfy({ index, encoding in
            encoding == 3 || (index == 0 ? leaf.definition : leaf.repetition) == 0
          })
        else { throw unsupported("levels in an old encoding") }
        try readLevels(prefixed(bytes, &position, leaf.repetition), leaf.repetition, header.values, &repetitions)
        try readLevels(prefixed(bytes, &position, leaf.definition), leaf.definition, header.values, &definitions)
      }
      let count = leaf.definition == 0 ? header.values : definitions.count { Int($0) == leaf.definition }
      values = try PageValues(
        UnsafeRawBufferPointer(rebasing: bytes[position...]), encoding: header.encoding, leaf.storage,
        length: leaf.length, count: count, dictionary: dictionary)
    }
    entries = header.values
    left -= header.values
  }

  /// Levels of a page of version 1, which begin with how many bytes they take.
  private func prefixed(
    _ bytes: UnsafeRawBufferPointer, _ position: inout Int, _ most: Int
  ) throws -> Slice<UnsafeRawBufferPointer> {
    guard most > 0 else { return bytes[position..<position] }
    guard bytes.count - position >= 4 else { throw damaged("the levels of a page end early") }
    let size = Int(bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    position += 4
    guard size <= bytes.count - position else { throw damaged("the levels of a page end early") }
    defer { position += size }
    return bytes[position..<position + size]
  }

  private func readLevels(
    _ bytes: Slice<UnsafeRawBufferPointer>, _ most: Int, _ count: Int, _ levels: inout [UInt8]
  ) throws {
    levels.removeAll(keepingCapacity: true)
    guard most > 0 else { return }
    levels.reserveCapacity(count)
    try RunLengths.read(UnsafeRawBufferPointer(rebasing: bytes), bits: RunLengths.bits(for: most), count: count) {
      level, times in
      guard level <= most else { throw damaged("a level that the schema does not have") }
      levels.append(contentsOf: repeatElement(UInt8(level), count: times))
    }
  }
}
