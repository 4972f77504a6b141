import Files

/// A read-only tensor of 16-bit floats where it lies in the mapped file, row-major.
public struct HalfTensor: Sendable {
  /// `.bf16` or `.f16`.
  public let dtype: TensorType
  /// Sizes, outermost first.
  public let shape: [Int]
  /// Valid for as long as `owner` lives.
  public nonisolated(unsafe) let pointer: UnsafePointer<UInt16>
  public nonisolated(unsafe) let owner: AnyObject

  public init(dtype: TensorType, shape: [Int], pointer: UnsafePointer<UInt16>, keptBy owner: AnyObject) {
    (self.dtype, self.shape, self.pointer, self.owner) = (dtype, shape, pointer, owner)
  }
}

extension SafetensorsFile {
  /// A tensor's 16-bit floats in place; nil where it is of another type, or not aligned to two bytes. Throws `badData`, naming
  /// the tensor, where it is missing or not of `shape`.
  public func halves(_ name: String, shape: [Int]) throws -> HalfTensor? {
    let info = try info(name)
    try info.check(name, shape: shape, file: path)
    let stored = bytes(info)
    guard info.dtype == .bf16 || info.dtype == .f16, info.range.lowerBound % 2 == 0, let base = stored.baseAddress
    else {
      return nil
    }
    return HalfTensor(
      dtype: info.dtype, shape: shape, pointer: base.assumingMemoryBound(to: UInt16.self), keptBy: mapping)
  }
}
