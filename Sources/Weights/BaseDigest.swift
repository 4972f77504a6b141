import Core
import Files

extension ModelCheckpoint {
  /// Pieces that are hashed before it is said how far that is.
  private static let piecesAtOnce = 64

  /// SHA-256 over the model's tensors: canonical names in sorted order, shapes, and values as little-endian float32.
  /// Two layouts, shardings, or float types of the same values agree; a tied head that is stored nevertheless does not
  /// count. Weights stored in 4 bits count by their codes and statistics.
  ///
  /// Each tensor is hashed in pieces of 4,194,304 values, so that threads share the work evenly; the result is a hash of
  /// the names, shapes and pieces' hashes, and is the same for any number of threads. Reads all weights once; `progress` gets
  /// the stored bytes that are read, and may throw to stop.
  public func baseDigest(threads: Int, progress: (_ bytes: Int) throws -> Void = { _ in }) throws -> Digest {
    let names = configuration.expectedTensors.map(\.name).filter { !quantizedNames.contains($0) }
    let tensors = try names.map { try pieces($0) }
    let work = tensors.indices.flatMap { tensor in (0..<tensors[tensor].count).map { (tensor, $0) } }
    var digests: [String: [Digest]] = [:]
    var done = 0
    for start in stride(from: 0, to: work.count, by: Self.piecesAtOnce) {
      let part = Array(work[start..<min(start + Self.piecesAtOnce, work.count)])
      let results = try parallelMap(part, threads: threads) { tensors[$0.0].digest(of: $0.1) }
      for ((tensor, piece), digest) in zip(part, results) {
        digests[names[tensor], default: []].append(digest)
        if piece == tensors[tensor].count - 1 { done += tensors[tensor].byteCount }
      }
      try progress(done)
    }
    return try baseDigest(pieces: digests)
  }

  /// `baseDigest(threads:progress:)` from the digests of each tensor's pieces, by canonical name, where the weights were read
  /// for another purpose. Throws `internalError` where a tensor lacks some.
  public func baseDigest(pieces: [String: [Digest]]) throws -> Digest {
    var digester = Digester()
    digester.update("sft base 1")
    for tensor in configuration.expectedTensors.sorted(by: { $0.name < $1.name }) {
      if quantizedNames.contains(tensor.name) { continue }
      let digests = pieces[tensor.name] ?? []
      guard digests.count == (try self.pieces(tensor.name).count) else {
        throw SFTError(.internalError, "tensor \(quoted(tensor.name)) was not read as a whole", file: folder)
      }
      digester.update(tensor.name)
      digester.update(tensor.shape.count)
      for size in tensor.shape { digester.update(size) }
      for digest in digests { digester.update(digest) }
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
