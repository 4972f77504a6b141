import Core
import Files

/// Writes a shard, frame by frame. Compressing is the caller's, with `Zstd.compress` on as many threads as there are, or
/// left to `append`; frames of 1 to 4 MiB raw are a good size. The file has its name once `finish` returned.
public final class ShardWriter {
  private let file: OutputFile
  private var entries: [UInt8] = []
  private var rawTotal = 0
  private var itemTotal = 0
  public private(set) var frameCount = 0

  public init(_ file: OutputFile) { self.file = file }

  public convenience init(_ path: String) throws { self.init(try OutputFile(path)) }

  /// Compresses `raw` and appends it as one frame that holds `items` items.
  public func append(_ raw: UnsafeRawBufferPointer, items: Int, level: Int32 = Zstd.fastLevel) throws {
    try appendCompressed(try Zstd.compress(raw, level: level), rawSize: raw.count, items: items)
  }

  /// Appends what `Zstd.compress` made of `rawSize` bytes.
  public func appendCompressed(_ frame: [UInt8], rawSize: Int, items: Int) throws {
    precondition((0...ShardFormat.frameLimit).contains(rawSize) && items >= 0 && !frame.isEmpty)
    precondition(frameCount < ShardFormat.frameCountLimit)
    try file.write(frame)
    for value in [frame.count, rawSize, items] { appendInteger(UInt64(value), to: &entries) }
    frameCount += 1
    rawTotal += rawSize
    itemTotal += items
  }

  /// Compresses `raw` in frames of about `frameSize` bytes on several threads; each item has `itemSize` bytes.
  public func append(
    _ raw: UnsafeRawBufferPointer, itemSize: Int, frameSize: Int = 2 << 20, threads: Int, level: Int32 = Zstd.fastLevel
  ) throws {
    precondition(itemSize > 0 && raw.count % itemSize == 0)
    let step = max(1, min(frameSize, ShardFormat.frameLimit) / itemSize) * itemSize
    nonisolated(unsafe) let raw = raw
    let starts = Array(stride(from: 0, to: raw.count, by: step))
    // A few frames for each thread at a time, so that memory stays small.
    for round in stride(from: 0, to: starts.count, by: 4 * max(1, threads)) {
      let group = Array(starts[round..<min(starts.count, round + 4 * max(1, threads))])
      let frames = try parallelMap(group, threads: threads) { start in
        try Zstd.compress(
          UnsafeRawBufferPointer(rebasing: raw[start..<min(raw.count, start + step)]), level: level)
      }
      for (start, frame) in zip(group, frames) {
        let size = min(raw.count - start, step)
        try appendCompressed(frame, rawSize: size, items: size / itemSize)
      }
    }
  }

  /// Writes the index and commits the file.
  public func finish() throws {
    var index = entries
    appendInteger(UInt64(frameCount), to: &index)
    index += index.withUnsafeBytes { Digest(of: $0) }.hex.utf8
    index += ShardFormat.magic
    var header: [UInt8] = []
    appendInteger(ShardFormat.skippableMagic, to: &header)
    appendInteger(UInt32(index.count), to: &header)
    try file.write(header)
    try file.write(index)
    try file.commit()
  }
}

private func appendInteger(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
  withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
}
