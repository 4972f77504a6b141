/// A tensor as a GGUF file's header describes it.
public struct GGUFTensorInfo: Sendable, Equatable {
  public var name: String
  /// Sizes from the slowest dimension to the fastest, as torch has them: the reverse of what the file lists.
  public var shape: [Int]
  public var type: GGUFType
  /// Where its bytes start, counted from the start of the file.
  public var offset: Int
  public var byteCount: Int

  public init(name: String, shape: [Int], type: GGUFType, offset: Int, byteCount: Int) {
    self.name = name
    self.shape = shape
    self.type = type
    self.offset = offset
    self.byteCount = byteCount
  }

  /// Number of values.
  public var count: Int { byteCount / type.blockBytes * type.blockElements }

  /// Values of one row, the last dimension.
  public var rowCount: Int { shape.last ?? 1 }

  /// The tensor's bytes, counted from the start of the file.
  public var range: Range<Int> { offset..<offset + byteCount }
}
