import Files

/// The stored values of a tensor in pieces that threads can share out, given as float32 some thousand at a time: the tensor
/// never exists as a whole, and what was looked at is given back to the system.
public struct TensorPieces: Sendable {
  /// Values of a piece. Part of the base digest's definition: changing it changes every digest.
  public static let pieceLength = 1 << 22
  /// Values given at a time; whole 4-bit blocks, and small enough to stay in the cache while they are used.
  private static let chunkLength = 1 << 14

  /// Keeps the file mapped.
  private let weights: WeightFiles
  private nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
  private let dtype: TensorType
  /// Number of values of the tensor.
  public let valueCount: Int

  init(_ bytes: UnsafeRawBufferPointer, _ dtype: TensorType, of weights: WeightFiles) {
    (self.bytes, self.dtype, self.weights) = (bytes, dtype, weights)
    valueCount = bytes.count / dtype.size
  }

  /// Number of pieces.
  public var count: Int { (valueCount + Self.pieceLength - 1) / Self.pieceLength }

  /// Stored bytes of the tensor.
  public var byteCount: Int { bytes.count }

  /// Hands `body` the values of a piece in order, with the number that the first has in the tensor.
  public func forEachChunk(of piece: Int, _ body: (_ values: UnsafeBufferPointer<Float>, _ first: Int) -> Void) {
    let range = piece * Self.pieceLength..<min((piece + 1) * Self.pieceLength, valueCount)
    let stored = part(range)
    adviseMapped(part(range.upperBound..<min(range.upperBound + Self.pieceLength, valueCount)), .willNeed)
    // What is needed of it later is mapped again then.
    defer { adviseMapped(stored, .dontNeed) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.chunkLength) { buffer in
      for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.chunkLength) {
        let end = min(first + Self.chunkLength, range.upperBound)
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

  private func part(_ values: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[values.lowerBound * dtype.size..<values.upperBound * dtype.size])
  }
}

extension ModelCheckpoint {
  /// The values of a tensor that is not stored in 4 bits, in pieces. Throws `badData` where the model has none of that name.
  public func pieces(_ name: String) throws -> TensorPieces {
    TensorPieces(try weights.bytes(of: try storedName(name)), try info(name).dtype, of: weights)
  }
}
