import Core

/// The values of a page that are not null.
struct PageValues {
  /// A text's place in `bytes`.
  struct Span {
    var start: Int32
    var count: Int32
  }

  /// How a leaf's values are stored.
  enum Storage: Int {
    case boolean, int32, int64, int96, float, double, bytes, fixed
  }

  /// Of a page whose texts begin as others do.
  private static let mostBytes = 1 << 30

  /// What the spans mean.
  var bytes: [UInt8] = []
  var spans: [Span] = []
  /// Of other types than bytes: integers, or the bits of a floating-point number.
  var numbers: [Int64] = []

  init() {}

  /// `count` values. `dictionary` is that of the column.
  init(
    _ content: UnsafeRawBufferPointer, encoding: Int, _ storage: Storage, length: Int, count: Int,
    dictionary: PageValues?
  ) throws {
    switch encoding {
    case 0: try readPlain(content, storage, length, count)
    case 2, 8: try readIndices(content, count, dictionary)
    case 3 where storage == .boolean: try readBooleans(content, count)
    case 5 where storage == .int32 || storage == .int64:
      numbers = try DeltaNumbers.read(content, most: count).numbers
      // Differences of 32-bit numbers are taken modulo 2^32.
      if storage == .int32 {
        for index in numbers.indices { numbers[index] = Int64(Int32(truncatingIfNeeded: numbers[index])) }
      }
    case 6 where storage == .bytes: try readLengths(content, count)
    case 7 where storage == .bytes || storage == .fixed: try readPrefixes(content, count)
    case 9: try readSplit(content, storage, length, count)
    default: throw unsupported("encoding \(encoding) of a column")
    }
    guard spans.count == count || numbers.count == count else { throw damaged("a page has too few values") }
  }

  private static func width(_ storage: Storage, _ length: Int) -> Int {
    switch storage {
    case .int32, .float: 4
    case .int64, .double: 8
    case .int96: 12
    default: length
    }
  }

  private mutating func readPlain(
    _ content: UnsafeRawBufferPointer, _ storage: Storage, _ length: Int, _ count: Int
  ) throws {
    switch storage {
    case .bytes:
      bytes = Array(content)
      spans.reserveCapacity(count)
      var position = 0
      for _ in 0..<count {
        guard content.count - position >= 4 else { throw damaged("a text ends early") }
        let size = Int(content.loadUnaligned(fromByteOffset: position, as: UInt32.self))
        position += 4
        guard size <= content.count - position else { throw damaged("a text ends early") }
        spans.append(Span(start: Int32(position), count: Int32(size)))
        position += size
      }
    case .boolean:
      guard (count + 7) / 8 <= content.count else { throw damaged("a page has too few values") }
      numbers = (0..<count).map { Int64(content[$0 / 8] >> UInt8($0 % 8) & 1) }
    default:
      let width = Self.width(storage, length)
      guard width > 0, count <= content.count / width else { throw damaged("a page has too few values") }
      if storage == .fixed || storage == .int96 {
        bytes = Array(content.prefix(width * count))
        spans = (0..<count).map { Span(start: Int32($0 * width), count: Int32(width)) }
      } else if width == 4 {
        numbers = (0..<count).map { Int64(content.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
      } else {
        numbers = (0..<count).map { content.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
      }
    }
  }

  /// Places in the dictionary, whose bytes are shared.
  private mutating func readIndices(_ content: UnsafeRawBufferPointer, _ count: Int, _ dictionary: PageValues?) throws {
    guard let dictionary else { throw damaged("a page needs a dictionary that is not there") }
    guard count > 0 else { return }
    guard let bits = content.first, bits <= 32 else { throw damaged("a page has too few values") }
    let isSpans = !dictionary.spans.isEmpty
    let size = isSpans ? dictionary.spans.count : dictionary.numbers.count
    if isSpans { spans.reserveCapacity(count) } else { numbers.reserveCapacity(count) }
    bytes = dictionary.bytes
    try RunLengths.read(UnsafeRawBufferPointer(rebasing: content[1...]), bits: Int(bits), count: count) {
      index, times in
      guard Int(index) < size else { throw damaged("a value is not in the dictionary") }
      if isSpans {
        for _ in 0..<times { spans.append(dictionary.spans[Int(index)]) }
      } else {
        for _ in 0..<times { numbers.append(dictionary.numbers[Int(index)]) }
      }
    }
  }

  private mutating func readBooleans(_ content: UnsafeRawBufferPointer, _ count: Int) throws {
    guard content.count >= 4 else { throw damaged("a page has too few values") }
    let runs = UnsafeRawBufferPointer(rebasing: content[4...])
    try RunLengths.read(runs, bits: 1, count: count) { value, times in
      numbers.append(contentsOf: repeatElement(Int64(value), count: times))
    }
  }

  /// All lengths, then all bytes (DELTA_LENGTH_BYTE_ARRAY).
  private mutating func readLengths(_ content: UnsafeRawBufferPointer, _ count: Int) throws {
    let (lengths, start) = try DeltaNumbers.read(content, most: count)
    bytes = Array(content)
    var position = start
    for length in lengths {
      guard length >= 0, length <= Int64(content.count - position) else { throw damaged("a text ends early") }
      spans.append(Span(start: Int32(position), count: Int32(length)))
      position += Int(length)
    }
  }

  /// Reads texts, each given as how much it shares with the start of the one before it, and the rest (DELTA_BYTE_ARRAY).
  private mutating func readPrefixes(_ content: UnsafeRawBufferPointer, _ count: Int) throws {
    let (prefixes, start) = try DeltaNumbers.read(content, most: count)
    let rest = UnsafeRawBufferPointer(rebasing: content[start...])
    var suffixes = PageValues()
    try suffixes.readLengths(rest, count)
    guard suffixes.spans.count == prefixes.count else { throw damaged("a page has too few values") }
    var last = Span(start: 0, count: 0)
    for (prefix, suffix) in zip(prefixes, suffixes.spans) {
      guard prefix >= 0, prefix <= Int64(last.count) else { throw damaged("a text begins as none before it") }
      let total = Int(prefix) + Int(suffix.count)
      guard bytes.count + total <= Self.mostBytes else { throw damaged("a page holds too much") }
      let start = bytes.count
      // One by one: a slice of what is appended to would be a copy of all of it.
      for index in Int(last.start)..<Int(last.start) + Int(prefix) { bytes.append(bytes[index]) }
      suffixes.bytes.withUnsafeBytes { all in
        let some = Int(suffix.start)..<Int(suffix.start) + Int(suffix.count)
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[some]))
      }
      last = Span(start: Int32(start), count: Int32(total))
      spans.append(last)
    }
  }

  /// The first bytes of all values, then the second ones, and so on (BYTE_STREAM_SPLIT).
  private mutating func readSplit(
    _ content: UnsafeRawBufferPointer, _ storage: Storage, _ length: Int, _ count: Int
  ) throws {
    let width = Self.width(storage, length)
    guard storage != .bytes, storage != .boolean, width > 0, count <= content.count / width else {
      throw damaged("a page has too few values")
    }
    var joined = [UInt8](repeating: 0, count: width * count)
    for byte in 0..<width { for index in 0..<count { joined[index * width + byte] = content[byte * count + index] } }
    try joined.withUnsafeBytes { try readPlain($0, storage, length, count) }
  }
}
