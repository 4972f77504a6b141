import Files

/// The stored values of a tensor in pieces that threads can share out, given as float32 some thousand at a time: the tensor
/// never exists as a whole, and what was looked at is given back to the system.
public struct TensorPieces: Sendable {
  /// Values of a piece. Part of the base digest's definition: changing it changes every digest.
  public static let pieceLength = 1 << 22
  /// Values given at a time; whole 4-bit blocks, and small enough to stay in the cache while they are used.
  private static let chunkLength = 1 << 14

  private enum Storage {
    /// Elements in a mapped file, which the object keeps mapped.
    case elements(UnsafeRawBufferPointer, TensorType, of: WeightFiles)
    case gguf(GGUFTensor)
  }

  private nonisolated(unsafe) let storage: Storage
  /// Number of values of the tensor.
  public let valueCount: Int
  /// Stored bytes of the tensor.
  public let byteCount: Int

  init(_ bytes: UnsafeRawBufferPointer, _ dtype: TensorType, of weights: WeightFiles) {
    storage = .elements(bytes, dtype, of: weights)
    (valueCount, byteCount) = (bytes.count / dtype.size, bytes.count)
  }

  init(_ tensor: GGUFTensor) {
    storage = .gguf(tensor)
    (valueCount, byteCount) = (tensor.info.count, tensor.info.byteCount)
  }

  /// Number of pieces.
  public var count: Int { (valueCount + Self.pieceLength - 1) / Self.pieceLength }

  /// Hands `body` the values of a piece in order, with the number that the first has in the tensor.
  public func forEachChunk(of piece: Int, _ body: (_ values: UnsafeBufferPointer<Float>, _ first: Int) -> Void) {
    let range = piece * Self.pieceLength..<min((piece + 1) * Self.pieceLength, valueCount)
    switch storage {
    case .elements(let bytes, let dtype, _): Self.forEachChunk(of: bytes, dtype, range, body)
    case .gguf(let tensor):
      let values = [Float](unsafeUninitializedCapacity: range.count) { values, count in
        tensor.read(range, into: UnsafeMutableBufferPointer(rebasing: values[..<range.count]))
        count = range.count
      }
      values.withUnsafeBufferPointer { values in
        for first in stride(from: 0, to: values.count, by: Self.chunkLength) {
          let end = min(first + Self.chunkLength, values.count)
          body(UnsafeBufferPointer(rebasing: values[first..<end]), range.lowerBound + first)
        }
      }
    }
  }

  private static func forEachChunk(
    of bytes: UnsafeRawBufferPointer, _ dtype: TensorType, _ range: Range<Int>,
    _ body: (_ values: UnsafeBufferPointer<Float>, _ first: Int) -> Void
  ) {
    func part(_ values: Range<Int>) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: bytes[values.lowerBound * dtype.size..<values.upperBound * dtype.size])
    }
    let stored = part(range)
    let valueCount = bytes.count / dtype.size
    adviseMapped(part(range.upperBound..<min(range.upperBound + pieceLength, valueCount)), .willNeed)
    // What is needed of it later is mapped again then.
    defer { adviseMapped(stored, .dontNeed) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: chunkLength) { buffer in
      for first in stride(from: range.lowerBound, to: range.upperBound, by: chunkLength) {
        let end = min(first + chunkLength, range.upperBound)
        let values = UnsafeMutableBufferPointer(rebasing: buffer[0..<end - first])
        convertToFloat(part(first..<end), dtype, values)
        body(UnsafeBufferPointer(values), first)
      }
    }
  }

  /// SHA-256 of a piece's values as little-endian float32.
  func digest(of piece: Int) -> Digest {
    var digester = Digester()
    forEachChunk(of: piece) { values, _ in digester.update(UnsafeRawBufferPointer(values)) }
    return digester.finish()
  }
}
