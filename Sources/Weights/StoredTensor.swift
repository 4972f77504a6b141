import GGUF

/// How a checkpoint's tensor is stored, by its canonical name and in its canonical shape.
public struct StoredTensor: Sendable, Equatable {
  public enum Form: Sendable, Equatable {
    /// Plain elements of safetensors' types; a GGUF file's floats are among them.
    case elements(TensorType)
    /// ggml's quantised blocks.
    case blocks(GGUFType)
  }

  public var form: Form
  /// Sizes, outermost first, as the model has them.
  public var shape: [Int]
  /// Bytes in the file.
  public var byteCount: Int
  /// Whether `tensor` gives a view of the file.
  public var isFloatView: Bool
  /// Whether `halves` gives its elements in 16 bits.
  public var isHalf: Bool
  /// Whether what `halves` and `blocks` give is a copy.
  public var isCopied = false

  /// The elements' type; nil of blocks.
  public var dtype: TensorType? { if case .elements(let dtype) = form { dtype } else { nil } }

  /// What the file's own format calls its type: `BF16`, `Q4_K`.
  public var typeName: String {
    switch form {
    case .elements(let dtype): dtype.rawValue
    case .blocks(let type): type.name
    }
  }

  /// Number of elements.
  public var count: Int { shape.reduce(1, *) }

  public var isInBlocks: Bool { dtype == nil }
}

/// A matrix in ggml's quantised blocks, [out, in] whichever way the model's own files have it, where it lies in the mapped file
/// or, where rows change places, copied.
public struct BlockTensor: Sendable {
  public let type: GGUFType
  /// Rows, each of whole blocks.
  public let outputs: Int
  /// Elements of a row.
  public let inputs: Int
  /// Valid for as long as `owner` lives.
  public nonisolated(unsafe) let pointer: UnsafePointer<UInt8>
  public nonisolated(unsafe) let owner: AnyObject
}
