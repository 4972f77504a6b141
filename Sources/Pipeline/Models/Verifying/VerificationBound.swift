import Core
import Exporting
import Weights

/// How far another tool's logits may be from sft's, relative to the largest logit of a prompt, by what the weights are written as.
///
/// Wider for fewer bits: what is written was rounded after sft computed with it, and llama.cpp rounds what it multiplies 16-bit
/// and quantised weights with, too. For blocks of 8 and 4 bits a fault has to be gross to be beyond the bound.
public enum VerificationBound: String, Sendable, CaseIterable {
  // The narrowest first.
  case float32, float16
  /// llama.cpp looks GELU up in a table of half-precision numbers.
  case float32GELU = "float32 with GELU in llama.cpp"
  case bfloat16, q8_0, q4_0

  public var relative: Double {
    switch self {
    case .float32: 1e-3
    case .float16, .float32GELU: 1e-2
    case .bfloat16: 1e-1
    case .q8_0: 0.25
    case .q4_0: 1
    }
  }

  /// For a help text: each type with its bound.
  public static var summary: String {
    allCases.map { "\($0.rawValue) \(plainNumber($0.relative))" }.joined(separator: ", ")
  }

  init(_ type: GGUFWeightType) {
    self =
      switch type {
      case .f32: .float32
      case .f16: .float16
      case .bf16: .bfloat16
      case .q8_0: .q8_0
      case .q4_0: .q4_0
      }
  }

  /// Of a GGUF file with tensors of these types, in llama.cpp's names; those not known here have no part in it.
  init(ggufTypes: some Collection<String>, _ activation: ModelConfiguration.Activation) {
    let widest = Self.widest(ggufTypes.compactMap { GGUFWeightType(rawValue: $0.lowercased()).map(Self.init) })
    self = widest == .float32 && activation != .silu ? .float32GELU : widest
  }

  /// Of a model folder; float32 for what is neither.
  init(folder checkpoint: ModelCheckpoint) throws {
    self = Self.widest(
      try checkpoint.configuration.expectedTensors.map { tensor in
        guard !checkpoint.quantizedNames.contains(tensor.name) else { return .float32 }
        return switch try checkpoint.info(tensor.name).dtype {
        case .f16: .float16
        case .bf16: .bfloat16
        default: .float32
        }
      })
  }

  private static func widest(_ bounds: [Self]) -> Self {
    bounds.max { $0.relative < $1.relative } ?? .float32
  }
}
