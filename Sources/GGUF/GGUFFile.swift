import Core
import Files

/// A GGUF file: mapped read-only, and its header checked in full before anything can be read.
public final class GGUFFile: Sendable {
  public let path: String
  /// Of the format: 2 or 3, which read alike.
  public let version: Int
  public let metadata: GGUFMetadata
  /// In the order of the file.
  public let tensors: [GGUFTensorInfo]
  private let places: [String: Int]
  package let mapping: MappedFile

  /// Throws `notFound` where there is no readable file, and `badData` for anything in the header that does not fit the
  /// format, the file's length or the types known here, naming the key or the tensor.
  public init(_ path: String) throws {
    let mapping = try MappedFile(path)
    let header = try GGUFHeader(mapping.bytes, file: path)
    self.path = path
    self.mapping = mapping
    version = header.version
    metadata = header.metadata
    tensors = header.tensors
    places = Dictionary(
      header.tensors.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether a path is taken for such a file's: one that ends in `.gguf` and is a file.
  public static func isOne(_ path: String) throws -> Bool {
    guard path.lowercased().hasSuffix(".gguf") else { return false }
    return try FileStatus(path)?.kind == .file
  }

  /// Of the whole file.
  public var byteCount: Int { mapping.count }

  /// The tensor of that name; nil where there is none.
  public func info(_ name: String) -> GGUFTensorInfo? { places[name].map { tensors[$0] } }

  /// The stored bytes of one of this file's tensors, little-endian; valid for as long as this object lives.
  public func bytes(_ info: GGUFTensorInfo) -> UnsafeRawBufferPointer {
    precondition(info.offset >= 0 && info.byteCount >= 0 && info.byteCount <= mapping.count - info.offset)
    return UnsafeRawBufferPointer(rebasing: mapping.bytes[info.range])
  }

  /// All values of a tensor as float32, in the order of `shape`, row-major. Throws `badData` where there is no such tensor.
  public func floats(_ name: String) throws -> [Float] {
    guard let info = info(name) else { throw SFTError(.badData, "has no tensor \(quoted(name))", file: path) }
    return [Float](unsafeUninitializedCapacity: info.count) { values, count in
      decode(info, from: 0, into: UnsafeMutableBufferPointer(rebasing: values[..<info.count]))
      count = info.count
    }
  }

  /// Sets `values` from as many values of one of this file's tensors, of which `first` is the first: both whole blocks of
  /// its type. Pages of the file that a larger piece took are given back.
  public func decode(_ info: GGUFTensorInfo, from first: Int = 0, into values: UnsafeMutableBufferPointer<Float>) {
    let type = info.type
    precondition(first >= 0 && first % type.blockElements == 0 && values.count % type.blockElements == 0)
    precondition(values.count <= info.count - first)
    let stored = bytes(info)
    // A piece is read and written while it is in the cache.
    let pieceCount = 1 << 20
    for start in stride(from: 0, to: values.count, by: pieceCount) {
      let end = min(start + pieceCount, values.count)
      let range =
        (first + start) / type.blockElements * type.blockBytes..<(first + end) / type.blockElements * type.blockBytes
      let piece = UnsafeRawBufferPointer(rebasing: stored[range])
      GGUFCodec.decode(type, blocks: piece, into: UnsafeMutableBufferPointer(rebasing: values[start..<end]))
      if piece.count >= 1 << 16 { adviseMapped(piece, .dontNeed) }
    }
  }

  /// Hands the values of one of this file's tensors to `body` in order, in pieces of whole rows of about `pieceCount`
  /// values, at least one row; the memory is reused from piece to piece.
  public func forEachPiece(
    _ info: GGUFTensorInfo, of pieceCount: Int = 1 << 18, _ body: (UnsafeBufferPointer<Float>) throws -> Void
  ) rethrows {
    let row = info.rowCount
    let count = min(info.count, max(1, pieceCount / row) * row)
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
    defer { buffer.deallocate() }
    for start in stride(from: 0, to: info.count, by: count) {
      let piece = UnsafeMutableBufferPointer(rebasing: buffer[..<min(count, info.count - start)])
      decode(info, from: start, into: piece)
      try body(UnsafeBufferPointer(piece))
    }
  }
}
