/// ggml's tensor types that are read; a few of them are also written. The raw value is the number in the file.
public enum GGUFType: UInt32, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q8_0 = 8
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case bf16 = 30

  /// Values of one block: 1 for the float types, 32, or 256 for the K types. A row is always whole blocks.
  public var blockElements: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q4_0, .q4_1, .q8_0: 32
    case .q4_K, .q5_K, .q6_K: 256
    }
  }

  /// Bytes of one block.
  public var blockBytes: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q4_0: 2 + 16
    case .q4_1: 2 + 2 + 16
    case .q8_0: 2 + 32
    case .q4_K: 2 + 2 + 12 + 128
    case .q5_K: 2 + 2 + 12 + 32 + 128
    case .q6_K: 128 + 64 + 16 + 2
    }
  }

  /// As ggml's tools write it: `F16`, `Q4_K`.
  public var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .q4_0: "Q4_0"
    case .q4_1: "Q4_1"
    case .q8_0: "Q8_0"
    case .q4_K: "Q4_K"
    case .q5_K: "Q5_K"
    case .q6_K: "Q6_K"
    case .bf16: "BF16"
    }
  }

  /// Whether `GGUFCodec.encode` writes it.
  public var isEncodable: Bool {
    switch self {
    case .f32, .f16, .bf16, .q8_0, .q4_0: true
    case .q4_1, .q4_K, .q5_K, .q6_K: false
    }
  }

  /// Bytes that `elements` values take; nil where they are not whole blocks or the bytes cannot be counted.
  public func byteCount(of elements: Int) -> Int? {
    guard elements >= 0, elements % blockElements == 0 else { return nil }
    let (bytes, overflow) = (elements / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  /// The name of a type that ggml knows, or knew, and that is not read here; nil for a number without a meaning.
  static func unreadName(_ number: UInt32) -> String? { unreadNames[number] }

  private static let unreadNames: [UInt32: String] = [
    4: "Q4_2", 5: "Q4_3", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8",
    25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
    34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4", 40: "NVFP4",
    41: "Q1_0", 42: "Q2_0",
  ]
}
