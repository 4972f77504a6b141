import Core
import Files
import Glibc
import Testing

import Artifacts

/// Bytes that compress somewhat: a slow ramp with seeded noise.
private func sample(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = SeededGenerator(seed: seed)
  return (0..<count).map { UInt8(truncatingIfNeeded: $0 / 50) &+ UInt8(random.below(4)) }
}

@Suite struct ZstdTests {
  @Test(arguments: [0, 1, 1000, 3_000_000]) func roundTrip(_ count: Int) throws {
    let raw = sample(count)
    for level: Int32 in [-1, 1, 9] {
      let frame = try Zstd.compress(raw, level: level)
      let back = try frame.withUnsafeBytes { try Zstd.decompress($0, expectedSize: count) }
      #expect(back == raw)
      #expect(throws: SFTError.self) {
        try frame.withUnsafeBytes { try Zstd.decompress($0, expectedSize: count + 1) }
      }
    }
  }

  /// Every mutation is refused, or (a header bit without meaning) gives the same content.
  @Test func damagedFramesNeverGiveOtherContent() throws {
    let raw = sample(5000)
    let frame = try Zstd.compress(raw)
    var random = SeededGenerator(seed: 8)
    var refused = 0
    for round in 0..<20_000 {
      var damaged = frame
      switch round % 4 {
      case 0: damaged[random.below(frame.count)] ^= UInt8(1 << random.below(8))
      case 1: damaged.removeLast(1 + random.below(frame.count))
      case 2: damaged.insert(UInt8(random.below(256)), at: random.below(frame.count + 1))
      default:
        for _ in 0...random.below(8) { damaged[random.below(frame.count)] = UInt8(random.below(256)) }
      }
      do {
        let back = try damaged.withUnsafeBytes { try Zstd.decompress($0, expectedSize: raw.count) }
        #expect(back == raw)
      } catch let error as SFTError {
        #expect(error.kind == .badData)
        refused += 1
      }
    }
    #expect(refused > 19_000)
  }

  @Test func contextsServeManyThreads() throws {
    let same = try parallelMap(Array(0..<64), threads: 8) { index in
      let raw = sample(10_000 + index, seed: UInt64(index))
      let frame = try Zstd.compress(raw)
      return try frame.withUnsafeBytes { try Zstd.decompress($0, expectedSize: raw.count) } == raw
    }
    #expect(same.allSatisfy { $0 })
  }
}

/// Without syncing: thousands of times.
private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
  unlink(path)
  let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
  defer { close(descriptor) }
  guard bytes.isEmpty || write(descriptor, bytes, bytes.count) == bytes.count else { throw systemError("write", path) }
}

@Suite struct ShardTests {
  private func shard(_ workspace: Workspace, frames: Int = 5) throws -> (path: String, raw: [[UInt8]]) {
    let path = workspace.path + "/shard"
    let writer = try ShardWriter(path)
    let raw = (0..<frames).map { sample(1000 + 100 * $0, seed: UInt64($0)) }
    for bytes in raw { try bytes.withUnsafeBytes { try writer.append($0, items: $0.count / 4) } }
    try writer.finish()
    return (path, raw)
  }

  @Test(arguments: [0, 1, 5]) func framesComeBackInAnyOrder(_ count: Int) throws {
    let workspace = try Workspace()
    let (path, raw) = try shard(workspace, frames: count)
    let reader = try ShardReader(path)
    #expect(reader.frames.count == count && reader.rawSize == raw.joined().count)
    for frame in raw.indices.reversed() { #expect(try reader.decompress(frame) == raw[frame]) }
    #expect(reader.itemCount == raw.reduce(0) { $0 + $1.count / 4 })
    #expect(reader.frames.last.map { $0.firstItem + $0.items } ?? 0 == reader.itemCount)
    #expect(try reader.decompressAll(as: UInt8.self, threads: 2) == Array(raw.joined()))
    #expect(throws: SFTError.self) { try reader.decompressAll(as: UInt8.self, limit: -1, threads: 2) }
  }

  @Test func anUnfinishedShardIsNotThere() throws {
    let workspace = try Workspace()
    do {
      let writer = try ShardWriter(workspace.path + "/shard")
      try [1, 2, 3].withUnsafeBytes { try writer.append($0, items: 3) }
    }
    #expect(try directoryEntries(workspace.path).isEmpty)
  }

  @Test func mutationsAreRefusedOrHarmless() throws {
    let workspace = try Workspace()
    let (path, raw) = try shard(workspace)
    let bytes = try readFile(path)
    var random = SeededGenerator(seed: 3)
    for round in 0..<3000 {
      var damaged = bytes
      // Half of them in the index and the footer.
      let place = round % 2 == 0 ? random.below(bytes.count) : bytes.count - 1 - random.below(220)
      switch round % 3 {
      case 0: damaged[place] ^= UInt8(1 << random.below(8))
      case 1: damaged.removeSubrange(place...)
      default: damaged[place] = UInt8(random.below(256))
      }
      try overwrite(path + ".damaged", damaged)
      do {
        let reader = try ShardReader(path + ".damaged")
        for frame in raw.indices { #expect(try reader.decompress(frame) == raw[frame]) }
      } catch let error as SFTError { #expect(error.kind == .badData) }
    }
  }

  /// Indexes that carry a right checksum and lie.
  @Test(arguments: [
    [(0, UInt64.max)], [(0, 0)], [(0, 1 << 37)], [(1, UInt64.max)], [(1, 1 << 30)], [(2, UInt64.max)], [(2, 1 << 38)],
    [(0, 1)], [(3, 1)], [(1, 64 << 20)],
  ]) func lyingIndexesAreRefused(_ lies: [(field: Int, value: UInt64)]) throws {
    let workspace = try Workspace()
    let (path, _) = try shard(workspace)
    var bytes = try readFile(path)
    let footer = bytes.count - ShardFormat.footerBytes
    let start = footer - 5 * ShardFormat.entryBytes
    for (field, value) in lies {
      withUnsafeBytes(of: value.littleEndian) {
        bytes.replaceSubrange((start + field * 8)..<(start + field * 8 + 8), with: $0)
      }
    }
    let checksum = bytes[start..<(footer + 8)].withUnsafeBytes { Digest(of: $0) }
    bytes.replaceSubrange((footer + 8)..<(footer + 72), with: checksum.hex.utf8)
    try writeAtomically(bytes, to: path)
    let error = #expect(throws: SFTError.self) {
      let reader = try ShardReader(path)
      for frame in reader.frames.indices { _ = try reader.decompress(frame) }
    }
    #expect(error?.kind == .badData && error?.file == path)
  }

  @Test func fiftyMegabytesOfTokensAreWrittenFast() throws {
    let workspace = try Workspace()
    var random = SeededGenerator(seed: 5)
    let tokens = (0..<12_500_000).map { _ in Int32(truncatingIfNeeded: random.next() % 50_257 >> (random.state & 7)) }
    let clock = ContinuousClock()
    let path = workspace.path + "/shard"
    let written = try clock.measure {
      let writer = try ShardWriter(path)
      try tokens.withUnsafeBytes { try writer.append($0, itemSize: 4, threads: 2) }
      try writer.finish()
    }
    var back: [Int32] = []
    let read = try clock.measure { back = try ShardReader(path).decompressAll(as: Int32.self, threads: 2) }
    #expect(back == tokens)
    print("50 MB of tokens: written in \(written), read in \(read), \(try FileStatus(path)?.size ?? 0) bytes")
    #expect(written < .seconds(5))
  }
}
