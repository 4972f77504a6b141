import Files

/// A tensor to be written: its entry in the header, and what gives its values when their turn comes.
public struct GGUFTensorOutput {
  /// Takes the next values of a tensor.
  public typealias FloatSink = (UnsafeBufferPointer<Float>) throws -> Void
  /// Takes the next bytes of a tensor.
  public typealias ByteSink = (UnsafeRawBufferPointer) throws -> Void

  enum Content {
    case rows((_ sink: FloatSink) throws -> Void)
    case stored((_ sink: ByteSink) throws -> Void)
  }

  public var name: String
  /// Sizes from the slowest dimension to the fastest, 1 to 4 of them.
  public var shape: [Int]
  public var type: GGUFType
  let content: Content

  /// A tensor from float values, encoded as `type` (one that `isEncodable`) while they come. `rows` hands them to the
  /// sink in order, in as many parts as it likes, each of whole rows of the last dimension.
  public init(
    _ name: String, _ shape: [Int], _ type: GGUFType, rows: @escaping (_ sink: FloatSink) throws -> Void
  ) {
    (self.name, self.shape, self.type, content) = (name, shape, type, .rows(rows))
  }

  /// A tensor from bytes that are stored as `type` already. `stored` hands them to the sink in order, in as many parts as
  /// it likes.
  public init(
    _ name: String, _ shape: [Int], _ type: GGUFType, stored: @escaping (_ sink: ByteSink) throws -> Void
  ) {
    (self.name, self.shape, self.type, content) = (name, shape, type, .stored(stored))
  }

  /// A tensor of another GGUF file, as it is; the file's pages are given back as they are written.
  public init(_ info: GGUFTensorInfo, of file: GGUFFile) {
    self.init(info.name, info.shape, info.type) { sink in
      let bytes = file.bytes(info)
      let pieceLength = 1 << 22
      for start in stride(from: 0, to: bytes.count, by: pieceLength) {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + pieceLength, bytes.count)])
        try sink(piece)
        adviseMapped(piece, .dontNeed)
      }
    }
  }
}
