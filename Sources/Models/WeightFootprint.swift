import Kernels
import Quantizing
import Weights

/// What a frozen decoder's weights take in memory, by how they will be kept; from the checkpoint's headers alone.
public struct WeightFootprint: Sendable, Equatable {
  /// Bytes of mapped files that computing touches, all of them: 4-bit linears, and 16-bit ones as they are stored.
  public private(set) var mapped = 0
  /// Rows of the embedding table that the data's tokens touch, and what the system maps around them.
  public private(set) var embedding = 0
  /// Bytes of memory of their own: weights laid out for products, converted ones, norms and biases.
  public private(set) var own = 0

  /// Of a decoder that has no weights of its own.
  public init() {}

  /// What the system maps at a time around a byte that is looked at.
  private static let window = 1 << 16

  /// `quantized` are tensors to be in 4 bits. `usesPanels` and `tokens`: whether linears in float32 are laid out, and
  /// which token vectors are looked at. Throws `badData` for a checkpoint that lacks a tensor.
  public init(
    _ checkpoint: ModelCheckpoint, quantized: Set<String>, doubleQuantization: Bool, usesPanels: Bool,
    tokens: Set<Int32>
  ) throws {
    let configuration = checkpoint.configuration
    for tensor in configuration.expectedTensors {
      if checkpoint.quantizedNames.contains(tensor.name) {
        let weights = try checkpoint.weights
        mapped += try checkpoint.storedParts(ofQuantized: tensor.name)
          .reduce(0) { $0 + (weights.info($1)?.range.count ?? 0) }
        continue
      }
      let info = try checkpoint.info(tensor.name)
      let (isView, isHalf) = (info.isFloatView, info.isHalf)
      if tensor.role.isBlockMatrix || tensor.role == .head || (tensor.role == .tokenEmbedding && configuration.tiedHead)
      {
        let isInputMajor = tensor.orientation == .inputsByOutputs
        let (outputs, inputs) = (tensor.shape[isInputMajor ? 1 : 0], tensor.shape[isInputMajor ? 0 : 1])
        switch WeightKeeping(
          isQuantized: quantized.contains(tensor.name), isInBlocks: info.isInBlocks, isHalf: isHalf,
          usesPanels: usesPanels)
        {
        case .quantized:
          mapped += QuantizedMatrix.bytes(
            outputs: outputs, inputs: inputs, doubleQuantization: doubleQuantization)
        // Of rows that change places there is a copy.
        case .half, .blocks: if info.isCopied { own += info.byteCount } else { mapped += info.byteCount }
        case .panels: own += 4 * PanelMatrix.floats(rows: inputs, columns: outputs)
        case .stored: if isView { mapped += info.byteCount } else { own += 4 * info.count }
        }
      } else if tensor.role == .tokenEmbedding {
        if isView || info.isInBlocks || isHalf {
          embedding += Self.touched(tokens, rowBytes: info.byteCount / max(1, tensor.shape[0]), of: info.byteCount)
        } else {
          own += 4 * info.count
        }
      } else {
        // Norms, biases, positions: small, or looked at as a whole.
        own += 4 * info.count
      }
    }
  }

  /// All of it.
  public var bytes: Int { mapped + embedding + own }

  private static func touched(_ tokens: Set<Int32>, rowBytes: Int, of bytes: Int) -> Int {
    var windows: Set<Int> = []
    for token in tokens where token >= 0 {
      let start = Int(token) * rowBytes
      windows.formUnion(start / window...(start + max(1, rowBytes) - 1) / window)
    }
    return min(bytes, windows.count * window)
  }
}
