import CZlib
import CZstd
import Core

/// The pages of a column of a row group, one after the other, decompressed.
struct PageReader {
  struct Page {
    var header: PageHeader
    /// Levels and values, or the values of a dictionary.
    var bytes: [UInt8]
  }

  /// No page is taken to be larger than this, whatever its header says.
  private static let mostBytes = 1 << 30

  private let file: UnsafeRawBufferPointer
  private let codec: Int
  private var position: Int
  private let end: Int

  private let budget: PageBudget
  /// Of this column, in `budget`.
  private var held = 0

  /// `file` must stay valid; what pages take is counted in `budget`, all columns of a row group together.
  init(_ file: UnsafeRawBufferPointer, _ chunk: ParquetMetadata.Chunk, _ budget: PageBudget) throws {
    self.file = file
    self.budget = budget
    codec = chunk.codec
    // Some writers say 0 where there is no dictionary.
    let start = chunk.dictionary.flatMap { $0 > 0 ? min($0, chunk.data) : nil } ?? chunk.data
    guard start >= 4, chunk.compressed >= 0, start <= file.count, chunk.compressed <= file.count - start else {
      throw damaged("a column lies outside of the file")
    }
    (position, end) = (start, start + chunk.compressed)
    guard [0, 1, 2, 6].contains(codec) else { throw unsupported("\(Self.names[codec] ?? "an unknown") compression") }
  }

  private static let names = [3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4"]

  /// nil at the end.
  mutating func next() throws -> Page? {
    while position < end {
      var reader = ThriftReader(UnsafeRawBufferPointer(rebasing: file[position..<end]))
      let header = try PageHeader(&reader)
      let start = position + reader.position
      guard header.compressedSize <= end - start else { throw damaged("a page ends early") }
      guard header.size <= Self.mostBytes else { throw damaged("a page is said to hold \(grouped(header.size)) bytes") }
      position = start + header.compressedSize
      guard let kind = header.kind, kind != .index else { continue }
      // A dictionary stays, and one page of values beside it.
      try budget.hold(header.size, instead: kind == .dictionary ? 0 : held)
      if kind != .dictionary { held = header.size }
      let content = UnsafeRawBufferPointer(rebasing: file[start..<position])
      return Page(header: header, bytes: try decompress(content, header))
    }
    return nil
  }

  private func decompress(_ content: UnsafeRawBufferPointer, _ header: PageHeader) throws -> [UInt8] {
    guard header.kind == .dataV2 else { return try decompress(content, size: header.size) }
    let levels = header.repetitionBytes + header.definitionBytes
    guard levels <= content.count, levels <= header.size else { throw damaged("the levels of a page end early") }
    let values = UnsafeRawBufferPointer(rebasing: content[levels...])
    let size = header.size - levels
    // A page of nulls has nothing to compress, and some writers leave it so.
    let isPlain = !header.isCompressed || (values.isEmpty && size == 0)
    guard !isPlain || values.count == size else { throw damaged("a page ends early") }
    return Array(content[..<levels]) + (isPlain ? Array(values) : try decompress(values, size: size))
  }

  private func decompress(_ bytes: UnsafeRawBufferPointer, size: Int) throws -> [UInt8] {
    switch codec {
    case 0:
      guard bytes.count == size else { throw damaged("a page ends early") }
      return Array(bytes)
    case 1: return try Snappy.decompress(bytes, size: size)
    case 2: return try Self.gunzip(bytes, size: size)
    default:
      return try [UInt8](unsafeUninitializedCapacity: size) { output, count in
        count = ZSTD_decompress(output.baseAddress, size, bytes.baseAddress, bytes.count)
        guard ZSTD_isError(count) == 0, count == size else {
          count = 0
          throw damaged("a page is no Zstandard frame of its size")
        }
      }
    }
  }

  private static func gunzip(_ bytes: UnsafeRawBufferPointer, size: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: max(1, size)) { output, count in
      var stream = z_stream()
      // gzip or zlib, whichever it is.
      guard inflateInit2_(&stream, 32 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        throw SFTError(.internalError, "no memory for decompression")
      }
      defer { inflateEnd(&stream) }
      stream.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
      stream.avail_in = UInt32(bytes.count)
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(size)
      let status = inflate(&stream, Z_FINISH)
      count = size
      guard status == Z_STREAM_END, stream.avail_out == 0 else { throw damaged("a page is no gzip stream of its size") }
    }
  }
}

/// Bytes of the pages that the columns of a row group hold at the same time. A crafted file of many columns could ask for more memory than
/// there is, a page each.
final class PageBudget {
  private var held = 0
  private let most: Int

  init(most: Int) { self.most = most }

  /// Throws where it is more than there may be.
  func hold(_ bytes: Int, instead others: Int) throws {
    held += bytes - others
    guard held <= most else { throw unsupported("pages of \(byteCount(held)) at the same time") }
  }
}
