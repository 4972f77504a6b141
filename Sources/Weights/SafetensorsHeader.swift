import Core
import JSON

/// The header of a safetensors file, parsed and checked against the file's length.
///
/// Format (huggingface/safetensors): 8 bytes little-endian length N; N bytes of a JSON object, perhaps padded with spaces;
/// then the data section, which the tensors must cover from its first byte to its last without overlap or gap.
struct SafetensorsHeader {
  /// The reference implementation's limit on N.
  static let largestHeader = 100_000_000

  var tensors: [String: TensorInfo] = [:]
  var metadata: [String: String] = [:]

  /// Throws `badData`, naming the file, and the tensor where it is about one.
  init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
    let dataStart = try Self.dataStart(bytes, file: file)
    guard dataStart > 8, bytes[8] == UInt8(ascii: "{") else {
      throw SFTError(.badData, "the safetensors header does not start with '{'", file: file)
    }
    let header = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
    let value: JSONValue
    do {
      value = try parseJSON(header, file: file)
    } catch let error as SFTError {
      throw SFTError(.badData, "the safetensors header is not sound JSON: \(error.message)", file: file)
    }
    guard let object = value.object else {
      throw SFTError(.badData, "the safetensors header is not a JSON object", file: file)
    }
    tensors.reserveCapacity(object.members.count)
    for (name, value) in object.members {
      if name == "__metadata__" {
        metadata = try Self.metadata(value, file: file)
      } else {
        tensors[name] = try TensorParser(name: name, file: file, dataStart: dataStart, fileSize: bytes.count)
          .parse(value)
      }
    }
    try checkCoverage(dataStart: dataStart, fileSize: bytes.count, file: file)
  }

  /// Where the data section starts: 8 + N.
  private static func dataStart(_ bytes: UnsafeRawBufferPointer, file: String) throws -> Int {
    guard bytes.count >= 8 else {
      throw SFTError(.badData, "is \(bytes.count) bytes long: too short for a safetensors file", file: file)
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(largestHeader) else {
      throw SFTError(
        .badData, "the safetensors header claims \(length) bytes, more than the \(largestHeader) allowed", file: file,
        advice: "It is probably not a safetensors file")
    }
    guard Int(length) <= bytes.count - 8 else {
      throw SFTError(
        .badData, "the safetensors header claims \(length) bytes, but only \(bytes.count - 8) follow", file: file,
        advice: "The file is cut short: download it again")
    }
    return 8 + Int(length)
  }

  private static func metadata(_ value: JSONValue, file: String) throws -> [String: String] {
    guard let object = value.object else {
      throw SFTError(.badData, "__metadata__ of the safetensors header is not an object", file: file)
    }
    var metadata: [String: String] = [:]
    for (key, value) in object.members {
      guard case .string(let text) = value else {
        throw SFTError(.badData, "__metadata__ of the safetensors header: \(quoted(key)) is not a string", file: file)
      }
      metadata[key] = text
    }
    return metadata
  }

  /// In order of their offsets the tensors must follow one another and fill the data section.
  private func checkCoverage(dataStart: Int, fileSize: Int, file: String) throws {
    let ordered = tensors.sorted {
      ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
        < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
    }
    var end = dataStart
    for (name, tensor) in ordered {
      let start = tensor.range.lowerBound
      guard start == end else {
        throw SFTError(
          .badData,
          start < end
            ? "tensor \(quoted(name)) starts at byte \(start - dataStart) of the data, inside the one before it, "
              + "which ends at \(end - dataStart)"
            : "tensor \(quoted(name)) starts at byte \(start - dataStart) of the data: a hole after \(end - dataStart)",
          file: file)
      }
      end = tensor.range.upperBound
    }
    guard end == fileSize else {
      throw SFTError(
        .badData, "the tensors end at byte \(end - dataStart) of the data, which has \(fileSize - dataStart)",
        file: file)
    }
  }
}

/// Parses and checks one tensor's entry: `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`, offsets counted
/// from the start of the data section. Other keys are ignored, as the reference does.
private struct TensorParser {
  var name: String
  var file: String
  var dataStart: Int
  var fileSize: Int

  func parse(_ value: JSONValue) throws -> TensorInfo {
    guard let object = value.object else { throw failure("its entry is not an object") }
    guard let dtypeName = object["dtype"]?.string else { throw failure("'dtype' is missing or not a string") }
    guard let dtype = TensorType(rawValue: dtypeName) else { throw failure("unknown dtype \(quoted(dtypeName))") }
    let shape = try sizes(object["shape"], "shape")
    let offsets = try sizes(object["data_offsets"], "data_offsets")
    guard offsets.count == 2 else { throw failure("'data_offsets' has \(offsets.count) numbers, expected 2") }
    let (start, end) = (offsets[0], offsets[1])
    guard start <= end else { throw failure("'data_offsets' are reversed: [\(start), \(end)]") }
    guard end <= fileSize - dataStart else {
      throw failure("ends at byte \(end) of the data, which has only \(fileSize - dataStart)")
    }
    guard let length = checkedProduct(shape + [dtype.size]) else {
      throw failure("shape \(shape) has more elements than can be counted")
    }
    guard end - start == length else {
      throw failure("shape \(shape) of \(dtypeName) takes \(length) bytes, but 'data_offsets' give \(end - start)")
    }
    return TensorInfo(dtype: dtype, shape: shape, range: dataStart + start..<dataStart + end)
  }

  /// An array of integers ≥ 0.
  private func sizes(_ value: JSONValue?, _ key: String) throws -> [Int] {
    guard let array = value?.array else { throw failure("'\(key)' is missing or not an array") }
    return try array.map { element in
      guard case .integer(let size) = element, size >= 0 else {
        throw failure("'\(key)' holds something other than integers from 0 up")
      }
      return size
    }
  }

  private func failure(_ message: String) -> SFTError {
    SFTError(.badData, "tensor \(quoted(name)): \(message)", file: file)
  }
}

/// The product of sizes ≥ 0 from left to right, or nil where it, or a part of it, does not fit an Int.
func checkedProduct(_ sizes: [Int]) -> Int? {
  var product = 1
  for size in sizes {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    product = next
  }
  return product
}
