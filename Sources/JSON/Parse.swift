import CJSON
import Core
import Files

/// Parses exactly one JSON value (RFC 8259) with nothing but white space around it.
///
/// `file` and `firstLine`, the line on which `bytes` start, are for messages: everything that is wrong with the text is
/// an `SFTError` of kind `badData` that names its line. See `JSONScanner` for what is checked; besides, no object may
/// hold a name twice. Integers that do not fit 64 bits become numbers. O(bytes).
public func parseJSON(_ bytes: UnsafeRawBufferPointer, file: String, firstLine: Int = 1) throws -> JSONValue {
  var scanner = JSONScanner(bytes)
  let range: Range<Int>
  do {
    range = try scanner.scanDocument()
  } catch {
    throw error.located(in: bytes, file: file, firstLine: firstLine)
  }
  let text = UnsafeRawBufferPointer(rebasing: bytes[range])
  var converter = Converter(longIntegers: scanner.longIntegers.map { scanner.text($0) })
  let value = try Tokener().withValue(text) { converter.value($0) }
  guard converter.memberCount == scanner.memberCount else {
    throw duplicateKey(in: bytes, file: file, firstLine: firstLine)
  }
  return value
}

/// Parses a file that holds one JSON value, with or without a byte order mark. A file of more than `limit` bytes is
/// refused as `badData`.
public func parseJSONFile(_ path: String, limit: Int = 256 << 20) throws -> JSONValue {
  let file = try MappedFile(path)
  guard file.count <= limit else {
    throw SFTError(
      .badData, "is \(byteCount(file.count)) long, and at most \(byteCount(limit)) are read as JSON", file: path)
  }
  return try parseJSON(withoutByteOrderMark(file.bytes), file: path)
}

/// `bytes` after a UTF-8 byte order mark, if they start with one.
public func withoutByteOrderMark(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
  bytes.starts(with: [0xef, 0xbb, 0xbf]) ? UnsafeRawBufferPointer(rebasing: bytes.dropFirst(3)) : bytes
}

/// json-c's objects → `JSONValue`.
private struct Converter {
  /// The integers of at least 19 digits as they are written, in order. json-c clamps such integers to 64 bits.
  var longIntegers: [String]
  private var longIntegersRead = 0
  /// Members of all objects so far.
  var memberCount = 0

  init(longIntegers: [String]) { self.longIntegers = longIntegers }

  mutating func value(_ value: OpaquePointer?) -> JSONValue {
    switch json_object_get_type(value) {
    case json_type_boolean: return .bool(json_object_get_boolean(value) != 0)
    case json_type_double: return .number(json_object_get_double(value))
    case json_type_int: return integer(json_object_get_int64(value))
    case json_type_string: return .string(String(decoding: stringBytes(value), as: UTF8.self))
    case json_type_array:
      let count = json_object_array_length(value)
      var elements: [JSONValue] = []
      elements.reserveCapacity(count)
      for index in 0..<count { elements.append(self.value(json_object_array_get_idx(value, index))) }
      return .array(elements)
    case json_type_object:
      var members: [(key: String, value: JSONValue)] = []
      members.reserveCapacity(Int(json_object_object_length(value)))
      forEachMember(value) { members.append((key: String(cString: $0), value: self.value($1))) }
      memberCount += members.count
      return .object(JSONObject(members))
    default: return .null
    }
  }

  /// 10^18 is the smallest integer of 19 digits, so a clamped one is always among the long ones.
  private mutating func integer(_ value: Int64) -> JSONValue {
    guard value.magnitude >= 1_000_000_000_000_000_000, longIntegersRead < longIntegers.count else {
      return .integer(Int(value))
    }
    let text = longIntegers[longIntegersRead]
    longIntegersRead += 1
    return Int(text).map { .integer($0) } ?? .number(Double(text) ?? Double(value))
  }
}
