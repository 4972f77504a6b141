/// Numbered byte strings that are found again by their content. Swift's own `Dictionary<String, …>` will not do:
/// `String`s are equal when they are canonically equivalent, and tokens must not be.
struct ByteTable: Sendable {
  private var blob: [UInt8] = []
  private var starts: [Int] = [0]
  /// Number + 1 of the string, or 0; at most half full, linear probing.
  private var slots: [Int32]
  private let mask: Int

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: 0, count: size)
    mask = size - 1
    starts.reserveCapacity(capacity + 1)
    blob.reserveCapacity(capacity * 8)
  }

  var count: Int { starts.count - 1 }

  subscript(number: Int) -> ArraySlice<UInt8> { blob[starts[number]..<starts[number + 1]] }

  /// Adds a string and returns its number; nil where it is there already. At most `capacity` may be added.
  mutating func insert(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    precondition(count * 2 <= mask)
    let slot = slot(bytes)
    if slots[slot] != 0 { return nil }
    blob.append(contentsOf: bytes)
    starts.append(blob.count)
    slots[slot] = Int32(count)
    return count - 1
  }

  func find(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    let number = Int(slots[slot(bytes)])
    return number == 0 ? nil : number - 1
  }

  func find(_ text: String) -> Int? {
    var text = text
    return text.withUTF8 { find($0) }
  }

  mutating func insert(_ text: String) -> Int? {
    var text = text
    return text.withUTF8 { insert($0) }
  }

  /// The slot that holds `bytes`, or the free one where it belongs.
  private func slot(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    var slot = Int(truncatingIfNeeded: hash ^ hash >> 29) & mask
    while slots[slot] != 0, !equals(Int(slots[slot]) - 1, bytes) { slot = (slot + 1) & mask }
    return slot
  }

  private func equals(_ number: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = starts[number]
    guard starts[number + 1] - start == bytes.count else { return false }
    return blob.withUnsafeBufferPointer { blob in
      for index in 0..<bytes.count where blob[start + index] != bytes[index] { return false }
      return true
    }
  }
}
