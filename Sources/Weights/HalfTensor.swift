import Files

/// A read-only tensor of 16-bit floats where it lies in the mapped file, row-major.
public struct HalfTensor: Sendable {
  /// `.bf16` or `.f16`.
  public let dtype: TensorType
  /// Sizes, outermost first.
  public let shape: [Int]
  /// Valid for as long as `mapping` lives.
  public nonisolated(unsafe) let pointer: UnsafePointer<UInt16>
  public let mapping: MappedFile
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
      dtype: info.dtype, shape: shape, pointer: base.assumingMemoryBound(to: UInt16.self), mapping: mapping)
  }
}
