import Core
import Files

/// A safetensors file: mapped read-only, and its header checked in full before anything can be read.
public final class SafetensorsFile: Sendable {
  public let path: String
  /// By the names in the file.
  public let tensors: [String: TensorInfo]
  /// All names, sorted.
  public let names: [String]
  /// The `__metadata__` of the header, often `["format": "pt"]`.
  public let metadata: [String: String]
  let mapping: MappedFile

  /// Throws `notFound` where there is no readable file, and `badData` for anything in the header that does not fit the
  /// format or the file's length, naming the tensor.
  public init(_ path: String) throws {
    let mapping = try MappedFile(path)
    let header = try SafetensorsHeader(mapping.bytes, file: path)
    self.path = path
    self.mapping = mapping
    tensors = header.tensors
    metadata = header.metadata
    names = header.tensors.keys.sorted()
  }

  /// Of the whole file.
  public var byteCount: Int { mapping.count }

  /// The stored bytes of a tensor, little-endian, perhaps misaligned; valid for as long as this object lives.
  /// Throws `badData` where there is no such tensor.
  public func bytes(of name: String) throws -> UnsafeRawBufferPointer { bytes(try info(name)) }

  /// Whether a tensor starts at a multiple of four bytes, so that it can be read in place as float32.
  public func isFloatAligned(_ name: String) throws -> Bool { try info(name).range.lowerBound % 4 == 0 }

  /// A tensor's values as float32: in place where they are stored so and aligned, else converted into memory of their
  /// own. Throws `badData`, naming the tensor, where it is missing, not of `shape`, or not of a float type.
  public func floats(_ name: String, shape: [Int]) throws -> FloatTensor {
    let info = try info(name)
    try info.check(name, shape: shape, file: path)
    guard info.dtype.isReadableAsFloat else {
      throw SFTError(
        .badData, "tensor \(quoted(name)): expected F32, F16, BF16 or F64, found \(info.dtype.rawValue)", file: path)
    }
    let stored = bytes(info)
    if info.dtype == .f32, info.range.lowerBound % 4 == 0, let base = stored.baseAddress {
      return FloatTensor(viewing: base.assumingMemoryBound(to: Float.self), shape: shape, of: mapping)
    }
    // What is converted is not looked at again.
    defer { adviseMapped(stored, .dontNeed) }
    return FloatTensor(shape: shape) { values in convertToFloat(stored, info.dtype, values) }
  }

  func info(_ name: String) throws -> TensorInfo {
    guard let info = tensors[name] else { throw SFTError(.badData, "has no tensor \(quoted(name))", file: path) }
    return info
  }

  func bytes(_ info: TensorInfo) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping.bytes[info.range])
  }
}
