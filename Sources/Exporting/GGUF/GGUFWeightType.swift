import Core
import GGUF
import Weights

/// What a GGUF file's matrices are written as, in llama.cpp's words. Norms, biases and position vectors are float32 always.
public enum GGUFWeightType: String, Sendable, CaseIterable {
  case f32, f16, bf16
  /// Blocks of 32 values, 8 or 4 bits each, with a half-precision scale.
  case q8_0, q4_0

  /// `general.file_type`.
  var fileType: UInt32 {
    switch self {
    case .f32: 0
    case .f16: 1
    case .q4_0: 2
    case .q8_0: 7
    case .bf16: 32
    }
  }

  private var type: GGUFType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    }
  }

  /// How a matrix of rows of `rowLength` is stored. The head, which errors of 4 bits tell on most, and an embedding that is
  /// the head too have 8 in a file of 4; rows that are not whole blocks are half precision, as llama.cpp has them.
  func type(rowLength: Int, isHead: Bool) -> GGUFType {
    let wanted = self == .q4_0 && isHead ? .q8_0 : type
    return rowLength % wanted.blockElements == 0 ? wanted : .f16
  }
}
