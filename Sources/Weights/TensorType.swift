import Core

/// The element types of the safetensors format. The order is the reference implementation's, by which its writer sorts
/// tensors (descending), so that wider types come first and every tensor stays aligned.
///
/// The types of less than a byte (F4, F6) are not known here.
public enum TensorType: String, Sendable, CaseIterable {
  case bool = "BOOL"
  case u8 = "U8"
  case i8 = "I8"
  case f8e5m2 = "F8_E5M2"
  case f8e4m3 = "F8_E4M3"
  case f8e8m0 = "F8_E8M0"
  case f8e4m3fnuz = "F8_E4M3FNUZ"
  case f8e5m2fnuz = "F8_E5M2FNUZ"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case c64 = "C64"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 1
    case .i16, .u16, .f16, .bf16: 2
    case .i32, .u32, .f32: 4
    case .c64, .f64, .i64, .u64: 8
    }
  }

  /// Whether `floats` can read it as float32.
  public var isReadableAsFloat: Bool { self == .f32 || self == .f16 || self == .bf16 || self == .f64 }

  /// Place in the reference implementation's order.
  var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// A tensor as a file's header describes it.
public struct TensorInfo: Sendable, Equatable {
  public var dtype: TensorType
  /// Sizes, outermost first; empty for a scalar.
  public var shape: [Int]
  /// The tensor's bytes, counted from the start of the file.
  public var range: Range<Int>

  public init(dtype: TensorType, shape: [Int], range: Range<Int>) {
    self.dtype = dtype
    self.shape = shape
    self.range = range
  }

  /// Number of elements.
  public var count: Int { range.count / dtype.size }

  /// Throws `badData`, naming the tensor, unless it is of `dtype` and `shape`; nil stands for any.
  public func check(_ name: String, dtype: TensorType? = nil, shape: [Int]?, file: String) throws {
    func failure(_ expected: String, _ found: String) -> SFTError {
      SFTError(.badData, "tensor \(quoted(name)): expected \(expected), found \(found)", file: file)
    }
    if let dtype, self.dtype != dtype { throw failure(dtype.rawValue, self.dtype.rawValue) }
    if let shape, self.shape != shape { throw failure("shape \(shape)", "\(self.shape)") }
  }
}

/// "1 tensor", "2 tensors".
func counted(_ tensors: Int) -> String { tensors == 1 ? "1 tensor" : "\(tensors) tensors" }
