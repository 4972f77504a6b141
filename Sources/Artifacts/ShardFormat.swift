import Core

// A shard is a file of compressed frames that can be read independently:
//
//     frames    Zstandard frames, one after the other
//     index     one Zstandard skippable frame: its 8-byte header, then per frame
//               3 × UInt64, little-endian: compressed bytes, raw bytes, items
//     footer    still inside that skippable frame: UInt64 number of frames,
//               SHA-256 of the entries and that number (64 hexadecimal digits), "SFTSHRD1"
//
// Since decoders jump over skippable frames, `zstd -d` gives the whole raw content of a shard.
package enum ShardFormat {
  static let magic = Array("SFTSHRD1".utf8)
  static let skippableMagic: UInt32 = 0x184D_2A5E
  package static let entryBytes = 24
  package static let footerBytes = 8 + 64 + 8
  /// One frame's raw content: large enough to compress well, small enough that a hostile index cannot take all memory.
  static let frameLimit = 64 << 20
  static let frameCountLimit = 1 << 24
}

/// One independently compressed part of a shard.
public struct ShardFrame: Sendable, Equatable {
  /// Where it starts in the file, and its compressed size there.
  public var offset: Int
  public var size: Int
  public var rawSize: Int
  /// What the writer counted: records, or tokens.
  public var items: Int
  /// Items in all frames before it.
  public var firstItem: Int
}
