import Core
import Files

extension ModelCheckpoint {
  /// Elements hashed by one task. Part of the digest's definition: changing it changes every digest.
  private static let pieceLength = 1 << 22

  /// SHA-256 over the model's tensors: canonical names in sorted order, shapes, and values as little-endian float32. Two
  /// layouts, shardings, or float types of the same values agree; a tied head that is stored nevertheless does not count. Weights
  /// stored in 4 bits count by their codes and statistics.
  ///
  /// Each tensor is hashed in pieces of 4,194,304 values, so that threads share the work evenly; the result is a hash of
  /// the names, shapes and pieces' hashes, and is the same for any number of threads. Reads all weights once.
  public func baseDigest(threads: Int) throws -> Digest {
    let expected = configuration.expectedTensors.sorted { $0.name < $1.name }
    let tensors = try expected.filter { !quantizedNames.contains($0.name) }.map { tensor in
      (tensor, try info(tensor.name), try weights.bytes(of: try storedName(tensor.name)))
    }
    var pieces: [Piece] = []
    for (_, info, bytes) in tensors {
      for start in stride(from: 0, to: info.count, by: Self.pieceLength) {
        let end = min(start + Self.pieceLength, info.count)
        let part = bytes[start * info.dtype.size..<end * info.dtype.size]
        pieces.append(Piece(bytes: UnsafeRawBufferPointer(rebasing: part), dtype: info.dtype))
      }
    }
    var digests = try parallelMap(pieces, threads: threads) { $0.digest() }[...]
    var digester = Digester()
    digester.update("sft base 1")
    for (tensor, info, _) in tensors {
      digester.update(tensor.name)
      digester.update(tensor.shape.count)
      for size in tensor.shape { digester.update(size) }
      for _ in stride(from: 0, to: info.count, by: Self.pieceLength) { digester.update(digests.removeFirst()) }
    }
    try addQuantized(to: &digester)
    return digester.finish()
  }

  /// Weights that are stored in 4 bits count by what is stored.
  private func addQuantized(to digester: inout Digester) throws {
    for name in quantizedNames.sorted() {
      let stored = try storedName(name)
      for part in try storedParts(ofQuantized: name) {
        let bytes = try weights.bytes(of: part)
        digester.update(name + part.dropFirst(stored.count))
        digester.update(bytes.count)
        digester.update(bytes)
        adviseMapped(bytes, .dontNeed)
      }
    }
  }
}

/// Part of a tensor's stored bytes, which the checkpoint keeps mapped.
private struct Piece: @unchecked Sendable {
  var bytes: UnsafeRawBufferPointer
  var dtype: TensorType

  /// Of the values as float32, converted through a small buffer where they are stored otherwise.
  func digest() -> Digest {
    // A digest reads everything; what is needed of it later is mapped again then.
    defer { adviseMapped(bytes, .dontNeed) }
    if dtype == .f32 { return Digest(of: bytes) }
    var digester = Digester()
    let chunk = 1 << 14
    withUnsafeTemporaryAllocation(of: Float.self, capacity: chunk) { buffer in
      let count = bytes.count / dtype.size
      for start in stride(from: 0, to: count, by: chunk) {
        let end = min(start + chunk, count)
        let values = UnsafeMutableBufferPointer(rebasing: buffer[0..<end - start])
        convertToFloat(
          UnsafeRawBufferPointer(rebasing: bytes[start * dtype.size..<end * dtype.size]), dtype, values)
        digester.update(UnsafeRawBufferPointer(values))
      }
    }
    return digester.finish()
  }
}
