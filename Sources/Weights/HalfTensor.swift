import Core
import Files

/// A read-only matrix of 16-bit floats, row-major, [out, in] whichever way the model's own files have it: where it lies in the
/// mapped file or, where rows change places or it is turned, copied.
public struct HalfTensor: Sendable {
  /// `.bf16` or `.f16`.
  public let dtype: TensorType
  /// [out, in].
  public let shape: [Int]
  /// Valid for as long as `owner` lives.
  public nonisolated(unsafe) let pointer: UnsafePointer<UInt16>
  public nonisolated(unsafe) let owner: AnyObject

  public init(dtype: TensorType, shape: [Int], pointer: UnsafePointer<UInt16>, keptBy owner: AnyObject) {
    (self.dtype, self.shape, self.pointer, self.owner) = (dtype, shape, pointer, owner)
  }
}

extension HalfTensor {
  /// A copy with rows and columns exchanged.
  func turned() -> HalfTensor {
    let (rows, columns) = (shape[0], shape[1])
    let copy = OwnedBytes(2 * rows * columns)
    let target = copy.start.assumingMemoryBound(to: UInt16.self)
    // A cache line of a row's, and of a column's, at a time.
    let edge = 32
    for firstRow in stride(from: 0, to: rows, by: edge) {
      for firstColumn in stride(from: 0, to: columns, by: edge) {
        for column in firstColumn..<min(firstColumn + edge, columns) {
          for row in firstRow..<min(firstRow + edge, rows) {
            target[column * rows + row] = pointer[row * columns + column]
          }
        }
      }
    }
    return HalfTensor(dtype: dtype, shape: [columns, rows], pointer: target, keptBy: copy)
  }
}

/// Memory, freed with its object.
final class OwnedBytes {
  let start: UnsafeMutableRawPointer
  init(_ count: Int) { start = allocateAligned(bytes: count) }
  deinit { start.deallocate() }
}

extension SafetensorsFile {
  /// A tensor's 16-bit floats in place; nil where it is of another type, or not aligned to two bytes. Throws `badData`, naming
  /// the tensor, where it is missing or not of `shape`.
  func halves(_ name: String, shape: [Int]) throws -> HalfTensor? {
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
