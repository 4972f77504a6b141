import CZlib
import CZstd
import Core
import Files

/// How a file is compressed, by its first bytes.
enum Compression: CaseIterable {
  case gzip, zstd

  private static let pieces = 1 << 18

  init?(_ bytes: UnsafeRawBufferPointer) {
    if let found = Self.allCases.first(where: { bytes.starts(with: $0.mark) }) {
      self = found
    } else if bytes.count >= 4, bytes[0] & 0xf0 == 0x50, bytes[1...3].elementsEqual([0x2a, 0x4d, 0x18]) {
      // A frame that is to be skipped stands first.
      self = .zstd
    } else {
      return nil
    }
  }

  private var mark: [UInt8] {
    switch self {
    case .gzip: [0x1f, 0x8b]
    case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
    }
  }

  private var name: String {
    switch self {
    case .gzip: "gzip"
    case .zstd: "zstd"
    }
  }

  /// The content of `file`, known by its name. Throws `badData` where it is damaged or cut short.
  func decompress(_ file: MappedFile) throws -> MappedFile {
    let output = try NamelessFile()
    do {
      switch self {
      case .gzip: try Self.gunzip(file.bytes, into: output)
      case .zstd: try Self.unzstd(file.bytes, into: output)
      }
    } catch let fault as CompressionFault {
      throw SFTError(.badData, "is compressed with \(name), and \(fault.words)", file: file.path)
    }
    return try MappedFile(output, name: file.path)
  }

  private struct CompressionFault: Error {
    var words: String

    static let cut = CompressionFault(words: "ends early")
    static let damaged = CompressionFault(words: "is damaged")
  }

  /// One member after the other, as gzip itself reads them.
  private static func gunzip(_ bytes: UnsafeRawBufferPointer, into output: NamelessFile) throws {
    var stream = z_stream()
    guard inflateInit2_(&stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw SFTError(.internalError, "no memory for decompression")
    }
    defer { inflateEnd(&stream) }
    var piece = [UInt8](repeating: 0, count: pieces)
    var position = 0
    while position < bytes.count {
      let (status, read, written) = piece.withUnsafeMutableBufferPointer { buffer in
        let given = min(bytes.count - position, 1 << 30)
        stream.next_in = UnsafeMutablePointer(
          mutating: bytes.baseAddress?.advanced(by: position).assumingMemoryBound(to: UInt8.self))
        stream.avail_in = UInt32(given)
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(buffer.count)
        let status = inflate(&stream, Z_NO_FLUSH)
        return (status, given - Int(stream.avail_in), buffer.count - Int(stream.avail_out))
      }
      position += read
      try piece.withUnsafeBytes { try output.append(UnsafeRawBufferPointer(rebasing: $0[..<written])) }
      switch status {
      case Z_STREAM_END:
        // Zeros may follow, as tapes are filled up with them.
        if bytes[position...].allSatisfy({ $0 == 0 }) { return }
        guard inflateReset(&stream) == Z_OK else { throw CompressionFault.damaged }
      case Z_OK where read > 0 || written > 0: break
      case Z_OK, Z_BUF_ERROR: throw CompressionFault.cut
      default: throw CompressionFault.damaged
      }
    }
    // What is left in the decompressor when all has been read.
    while true {
      let (status, written) = piece.withUnsafeMutableBufferPointer { buffer in
        stream.avail_in = 0
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(buffer.count)
        return (inflate(&stream, Z_NO_FLUSH), buffer.count - Int(stream.avail_out))
      }
      try piece.withUnsafeBytes { try output.append(UnsafeRawBufferPointer(rebasing: $0[..<written])) }
      if status == Z_STREAM_END { return }
      guard status == Z_OK, written > 0 else { throw CompressionFault.cut }
    }
  }

  private static func unzstd(_ bytes: UnsafeRawBufferPointer, into output: NamelessFile) throws {
    guard let context = ZSTD_createDCtx() else { throw SFTError(.internalError, "no memory for decompression") }
    defer { ZSTD_freeDCtx(context) }
    var piece = [UInt8](repeating: 0, count: pieces)
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    while true {
      let (hint, written) = piece.withUnsafeMutableBytes { buffer in
        var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
        return (ZSTD_decompressStream(context, &target, &input), target.pos)
      }
      guard ZSTD_isError(hint) == 0 else { throw CompressionFault.damaged }
      try piece.withUnsafeBytes { try output.append(UnsafeRawBufferPointer(rebasing: $0[..<written])) }
      guard input.pos == input.size else { continue }
      if hint == 0 { return }
      if written < piece.count { throw CompressionFault.cut }
    }
  }
}
