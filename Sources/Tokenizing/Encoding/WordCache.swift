import Core

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The tokens of words seen before: a table of fixed size in which a newer word takes an older one's place.
///
/// A slot is one cache line of 64 bytes: 31 bytes of the word, its length, up to 7 ids, and their number. Longer words
/// and words of more ids are not kept.
final class WordCache {
  static let longestWord = 31
  static let mostTokens = 7
  /// Bytes that may be read past the end of a word.
  static let padding = 32

  struct Key {
    var parts: (UInt64, UInt64, UInt64, UInt64)

    /// `count` is 1…`longestWord`; 32 bytes at `word` must be readable.
    @inline(__always)
    init(_ word: UnsafePointer<UInt8>, _ count: Int) {
      let raw = UnsafeRawPointer(word)
      let tag = UInt64(truncatingIfNeeded: count) << 56
      if count <= 8 {
        parts = (Self.load(raw, count), 0, 0, tag)
      } else if count <= 16 {
        parts = (Self.load(raw, 8), Self.load(raw + 8, count - 8), 0, tag)
      } else {
        let third = Self.load(raw + 16, min(count - 16, 8))
        let fourth = count > 24 ? Self.load(raw + 24, count - 24) : 0
        parts = (Self.load(raw, 8), Self.load(raw + 8, 8), third, fourth | tag)
      }
    }

    /// The first `count` of eight bytes, the others 0.
    @inline(__always)
    private static func load(_ raw: UnsafeRawPointer, _ count: Int) -> UInt64 {
      raw.loadUnaligned(as: UInt64.self) & (UInt64.max &>> UInt64(64 - 8 * count))
    }

    @inline(__always)
    var hash: UInt64 {
      let left = (parts.0 ^ 0xa076_1d64_78bd_642f).multipliedFullWidth(by: parts.1 ^ parts.3 ^ 0xe703_7ed1_a0b4_28db)
      let mixed = left.high ^ left.low ^ parts.2
      return mixed &* 0x9e37_79b9_7f4a_7c15
    }

    @inline(__always)
    static func == (a: Key, b: Key) -> Bool {
      (a.parts.0 ^ b.parts.0) | (a.parts.1 ^ b.parts.1) | (a.parts.2 ^ b.parts.2) | (a.parts.3 ^ b.parts.3) == 0
    }
  }

  private let memory: UnsafeMutableRawPointer
  private let slots: UnsafeMutableRawPointer
  private let shift: UInt64

  /// 2^`bits` slots of 64 bytes. `calloc` takes zero pages from the system as they are touched, so that a cache for a
  /// few words costs little.
  init(bits: Int = 15) {
    shift = UInt64(64 - bits)
    let bytes = (64 << bits) + 64
    guard let memory = calloc(bytes, 1) else { Shortage.ofMemory(bytes) }
    self.memory = memory
    slots = memory.alignedUp(toMultipleOf: 64)
  }

  deinit { free(memory) }

  @inline(__always)
  func slot(for key: Key) -> UnsafeMutableRawPointer { slots + Int(key.hash &>> shift) &<< 6 }

  /// The ids and their number where `slot` holds `key`. An empty slot equals no key, because none has length 0.
  @inline(__always)
  func find(_ key: Key, in slot: UnsafeMutableRawPointer) -> (ids: UnsafePointer<Int32>, count: Int)? {
    guard slot.load(as: Key.self) == key else { return nil }
    let count = slot.load(fromByteOffset: 60, as: Int32.self)
    return (UnsafePointer((slot + 32).assumingMemoryBound(to: Int32.self)), Int(count))
  }

  /// Puts a word in `slot`, unless it has too many ids.
  func store(_ key: Key, in slot: UnsafeMutableRawPointer, _ ids: ArraySlice<Int32>) {
    guard ids.count <= Self.mostTokens else { return }
    slot.storeBytes(of: key, as: Key.self)
    for (position, id) in ids.enumerated() {
      slot.storeBytes(of: id, toByteOffset: 32 + 4 * position, as: Int32.self)
    }
    slot.storeBytes(of: Int32(ids.count), toByteOffset: 60, as: Int32.self)
  }
}
