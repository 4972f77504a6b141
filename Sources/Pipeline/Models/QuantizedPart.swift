import Artifacts
import Core
import Files
import FoundationEssentials
import Kernels
import Quantizing
import Weights

/// Some layers of a model, whose quantised linears are one file: what a quantisation that was stopped has to do again at most.
struct QuantizedPart: Sendable {
  /// All tensors of these layers, in the order of the computation, and those before the first and after the last layer.
  private(set) var tensors: [TensorSpecification] = []
  /// Bytes of the codes.
  private(set) var bytes = 0

  private mutating func add(_ tensor: TensorSpecification, isQuantized: Bool) {
    tensors.append(tensor)
    if isQuantized { bytes += tensor.shape.reduce(1, *) / 2 }
  }

  /// The parts of a model: of whole layers, each with more bytes of codes than `limit`, so that an artifact's files are
  /// not read again at every use; one part where that is all there is.
  static func parts(
    of configuration: ModelConfiguration, quantizing names: Set<String>, limit: Int = alwaysReadLimit
  ) -> [QuantizedPart] {
    var parts = [QuantizedPart()]
    var layer: Int?
    for tensor in configuration.expectedTensors {
      if tensor.layer != layer, tensor.layer != nil {
        if parts[parts.count - 1].bytes > limit { parts.append(QuantizedPart()) }
        layer = tensor.layer
      }
      parts[parts.count - 1].add(tensor, isQuantized: names.contains(tensor.name))
    }
    if parts.count > 1, parts[parts.count - 1].bytes <= limit {
      let last = parts.removeLast()
      parts[parts.count - 1].tensors += last.tensors
      parts[parts.count - 1].bytes += last.bytes
    }
    return parts
  }
}

/// What is written beside a part's file once that is whole.
struct QuantizedPartRecord: Codable, Sendable, Equatable {
  /// Of this text, in which its digits are zeros.
  var checksum = Digest.zero
  /// Of every tensor, what its pieces' values hash to; nil where that was not asked for.
  var pieces: [String: [Digest]]?
  /// Of the file.
  var sha256: Digest

  func write(_ path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    guard let data = try? encoder.encode(self), let text = SealedText.seal(Array(data)) else {
      throw SFTError(.internalError, "what was quantised cannot be recorded", file: path)
    }
    try writeAtomically(text, to: path)
  }

  /// nil where there is none that is intact, or where `file` is not the one that it was written for.
  init?(_ path: String, of file: String) {
    guard let text = try? readFile(path, limit: 64 << 20),
      let record = try? JSONDecoder().decode(QuantizedPartRecord.self, from: Data(text)),
      SealedText.isIntact(text, record.checksum), (try? Digest(ofFile: file)) == record.sha256
    else { return nil }
    self = record
  }

  init(pieces: [String: [Digest]]?, sha256: Digest) { (self.pieces, self.sha256) = (pieces, sha256) }
}
