import CZstd
import Core
import Synchronization

/// Zstandard frames with content size and checksum, so that every changed byte is noticed. The library's contexts are
/// kept and used again, from any thread.
public enum Zstd {
  /// The default of compression: token ids shrink to a half at some 500 MB/s.
  public static let fastLevel: Int32 = 1

  /// One frame. `level` is from -7 (fastest) to 19 (smallest).
  public static func compress(_ bytes: UnsafeRawBufferPointer, level: Int32 = fastLevel) throws -> [UInt8] {
    let context = try compressors.take { try CompressionContext() }
    defer { compressors.giveBack(context) }
    context.setLevel(level)
    return try [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { buffer, count in
      let written = ZSTD_compress2(context.pointer, buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count)
      guard ZSTD_isError(written) == 0 else {
        throw SFTError(.internalError, "compression failed: \(String(cString: ZSTD_getErrorName(written)))")
      }
      count = written
    }
  }

  public static func compress(_ bytes: [UInt8], level: Int32 = fastLevel) throws -> [UInt8] {
    try bytes.withUnsafeBytes { try compress($0, level: level) }
  }

  /// The content of one frame, which must be exactly `expectedSize` bytes. Throws `badData` where `frame` is damaged or
  /// something else; memory is taken only after the frame's own header agrees with `expectedSize`.
  public static func decompress(_ frame: UnsafeRawBufferPointer, expectedSize: Int) throws -> [UInt8] {
    try check(frame, expectedSize)
    return try [UInt8](unsafeUninitializedCapacity: expectedSize) { buffer, count in
      try decompressChecked(frame, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: expectedSize))
      count = expectedSize
    }
  }

  /// Fills `destination` with the content of one frame, which must be of exactly that size. Throws `badData`; then what
  /// is in `destination` means nothing.
  public static func decompress(_ frame: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer) throws
  {
    try check(frame, destination.count)
    try decompressChecked(frame, into: destination)
  }

  /// Exactly one frame, which says that it holds `expectedSize` bytes.
  static func check(_ frame: UnsafeRawBufferPointer, _ expectedSize: Int) throws {
    guard expectedSize >= 0, ZSTD_getFrameContentSize(frame.baseAddress, frame.count) == UInt64(expectedSize) else {
      throw SFTError(.badData, "compressed data is damaged: it does not hold \(grouped(expectedSize)) bytes")
    }
    guard ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count) == frame.count else {
      throw SFTError(.badData, "compressed data is damaged: it does not end where it should")
    }
  }

  private static func decompressChecked(
    _ frame: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    let context = try decompressors.take { try DecompressionContext() }
    defer { decompressors.giveBack(context) }
    let written = ZSTD_decompressDCtx(
      context.pointer, destination.baseAddress, destination.count, frame.baseAddress, frame.count)
    guard ZSTD_isError(written) == 0 else {
      throw SFTError(.badData, "compressed data is damaged: \(String(cString: ZSTD_getErrorName(written)))")
    }
    guard written == destination.count else {
      throw SFTError(.badData, "compressed data is damaged: \(written) bytes instead of \(destination.count)")
    }
  }

  private static let compressors = ContextPool<CompressionContext>()
  private static let decompressors = ContextPool<DecompressionContext>()
}

/// Contexts that nobody uses now. There are never more than threads that compressed at the same time.
private final class ContextPool<Context: Sendable>: Sendable {
  private let idle = Mutex<[Context]>([])

  func take(_ make: () throws -> Context) throws -> Context {
    try idle.withLock { $0.popLast() } ?? make()
  }

  func giveBack(_ context: Context) { idle.withLock { $0.append(context) } }
}

/// Used by one thread at a time: the pool hands it out.
private final class CompressionContext: @unchecked Sendable {
  let pointer: OpaquePointer

  init() throws {
    guard let pointer = ZSTD_createCCtx() else { throw SFTError(.internalError, "no memory for compression") }
    self.pointer = pointer
    ZSTD_CCtx_setParameter(pointer, ZSTD_c_checksumFlag, 1)
  }

  deinit { ZSTD_freeCCtx(pointer) }

  func setLevel(_ level: Int32) { ZSTD_CCtx_setParameter(pointer, ZSTD_c_compressionLevel, level) }
}

/// Used by one thread at a time: the pool hands it out.
private final class DecompressionContext: @unchecked Sendable {
  let pointer: OpaquePointer

  init() throws {
    guard let pointer = ZSTD_createDCtx() else { throw SFTError(.internalError, "no memory for decompression") }
    self.pointer = pointer
  }

  deinit { ZSTD_freeDCtx(pointer) }
}
