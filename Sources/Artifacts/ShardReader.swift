import Core
import Files

/// Reads a shard. The file is mapped and its index checked when it is opened; frames are decompressed when asked for, in
/// any order and from several threads.
public struct ShardReader: Sendable {
  public let frames: [ShardFrame]
  /// Over all frames.
  public let itemCount: Int
  public let rawSize: Int
  private let file: MappedFile

  /// Throws `badData` where the file is not a shard or its index is damaged.
  public init(_ path: String) throws {
    let file = try MappedFile(path)
    let index = try Self.index(of: file)
    let count = index.count / ShardFormat.entryBytes
    // The skippable frame's header stands between the last frame and the index.
    let end = file.count - index.count - ShardFormat.footerBytes - 8
    var frames: [ShardFrame] = []
    frames.reserveCapacity(count)
    var offset = 0
    var items = 0
    var raw = 0
    for entry in 0..<count {
      func value(_ field: Int) throws -> Int {
        let number = integer(index, entry * ShardFormat.entryBytes + field * 8, UInt64.self)
        // No sum of that many such numbers overflows.
        guard number < 1 << 38 else { throw damagedShard(path, "a number in its index is too large") }
        return Int(number)
      }
      let frame = ShardFrame(
        offset: offset, size: try value(0), rawSize: try value(1), items: try value(2), firstItem: items)
      guard frame.size > 0, frame.size <= end - offset else { throw damagedShard(path, "a frame is outside of it") }
      guard frame.rawSize <= ShardFormat.frameLimit else { throw damagedShard(path, "a frame is too large") }
      frames.append(frame)
      offset += frame.size
      items += frame.items
      raw += frame.rawSize
    }
    guard offset == end else { throw damagedShard(path, "its frames do not fill it") }
    self.file = file
    self.frames = frames
    itemCount = items
    rawSize = raw
  }

  /// The entries, after the footer, the checksum and the skippable frame's header were found right.
  private static func index(of file: MappedFile) throws -> UnsafeRawBufferPointer {
    let bytes = file.bytes
    let footerBytes = ShardFormat.footerBytes
    guard bytes.count >= footerBytes + 8, bytes.suffix(8).elementsEqual(ShardFormat.magic) else {
      throw damagedShard(file.path, "it does not end as a shard does")
    }
    let footer = bytes.count - footerBytes
    let count = integer(bytes, footer, UInt64.self)
    guard count <= UInt64(min(ShardFormat.frameCountLimit, (footer - 8) / ShardFormat.entryBytes)) else {
      throw damagedShard(file.path, "its index is larger than the file")
    }
    let start = footer - Int(count) * ShardFormat.entryBytes
    let checksum = Digest(of: UnsafeRawBufferPointer(rebasing: bytes[start..<(footer + 8)]))
    guard bytes[(footer + 8)..<(footer + 72)].elementsEqual(checksum.hex.utf8) else {
      throw damagedShard(file.path, "its index differs from its checksum")
    }
    guard integer(bytes, start - 8, UInt32.self) == ShardFormat.skippableMagic,
      Int(integer(bytes, start - 4, UInt32.self)) == bytes.count - start
    else { throw damagedShard(file.path, "its index does not start where it should") }
    return UnsafeRawBufferPointer(rebasing: bytes[start..<footer])
  }

  /// The raw content of one frame. Throws `badData` where it is damaged.
  public func decompress(_ frame: Int) throws -> [UInt8] {
    try naming(frame) { try Zstd.decompress(compressed(frame), expectedSize: frames[frame].rawSize) }
  }

  /// Decompresses one frame into memory of exactly `frames[frame].rawSize` bytes. Throws `badData` where it is damaged.
  public func decompress(_ frame: Int, into destination: UnsafeMutableRawBufferPointer) throws {
    precondition(destination.count == frames[frame].rawSize)
    try naming(frame) { try Zstd.decompress(compressed(frame), into: destination) }
  }

  /// The raw content of all frames as values of one type. Throws `badData` where that does not come out even
  /// or is more than `limit` bytes.
  public func decompressAll<Value: FixedWidthInteger & BitwiseCopyable & Sendable>(
    as type: Value.Type, limit: Int = 16 << 30, threads: Int
  ) throws -> [Value] {
    let width = MemoryLayout<Value>.stride
    var places: [Range<Int>] = []
    var total = 0
    for frame in frames {
      guard frame.rawSize % width == 0 else { throw damagedShard(file.path, "a frame holds part of a value") }
      places.append(total..<(total + frame.rawSize))
      total += frame.rawSize
    }
    guard total <= limit else {
      throw SFTError(
        .badData, "holds \(byteCount(total)), more than \(byteCount(limit)) expected here", file: file.path)
    }
    // Before memory is taken, each frame's own header must agree with the index.
    for frame in frames.indices { try naming(frame) { try Zstd.check(compressed(frame), frames[frame].rawSize) } }
    return try [Value](unsafeUninitializedCapacity: total / width) { buffer, count in
      nonisolated(unsafe) let raw = UnsafeMutableRawBufferPointer(buffer)
      _ = try parallelMap(Array(places.enumerated()), threads: threads) { frame, place in
        try decompress(frame, into: UnsafeMutableRawBufferPointer(rebasing: raw[place]))
      }
      count = total / width
    }
  }

  private func compressed(_ frame: Int) -> UnsafeRawBufferPointer {
    let place = frames[frame]
    return UnsafeRawBufferPointer(rebasing: file.bytes[place.offset..<(place.offset + place.size)])
  }

  private func naming<Result>(_ frame: Int, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch var error as SFTError {
      error.file = file.path
      error.message = "frame \(frame): \(error.message)"
      throw error
    }
  }
}

private func damagedShard(_ path: String, _ reason: String) -> SFTError {
  SFTError(.badData, "is not a sound shard: \(reason)", file: path)
}

/// Little-endian, at any alignment; in bounds.
private func integer<Value: FixedWidthInteger & BitwiseCopyable>(
  _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ type: Value.Type
) -> Value {
  Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
}
