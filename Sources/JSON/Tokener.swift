import CJSON
import Core

/// json-c's parser, reused from text to text. It is given only what `JSONScanner` has found valid, since by itself it
/// accepts far more than JSON. Not for use by two threads at once.
struct Tokener: ~Copyable {
  private let handle: UnsafeMutablePointer<json_tokener>

  init() throws {
    // json-c counts one level more than there are brackets.
    guard let handle = json_tokener_new_ex(Int32(JSONScanner.depthLimit + 2)) else {
      throw SFTError(.internalError, "json-c cannot allocate its parser")
    }
    self.handle = handle
  }

  deinit { json_tokener_free(handle) }

  /// Parses `text`, which must be one value, and hands it over for the time of `body`; nil stands for `null`.
  func withValue<Result>(_ text: UnsafeRawBufferPointer, _ body: (OpaquePointer?) throws -> Result) throws -> Result {
    guard let resolved = resolvingSurrogatePairs(text) else { return try parse(text, body) }
    return try resolved.withUnsafeBytes { try parse($0, body) }
  }

  private func parse<Result>(
    _ text: UnsafeRawBufferPointer, _ body: (OpaquePointer?) throws -> Result
  ) throws -> Result {
    json_tokener_reset(handle)
    var (value, status) = try feed(text)
    // A number at the top level ends only where the text does, which a NUL tells json-c.
    if status == json_tokener_continue {
      (value, status) = try withUnsafeBytes(of: UInt8(0)) { end throws in try feed(end) }
    }
    defer { json_object_put(value) }
    guard status == json_tokener_success else {
      let reason = String(cString: json_tokener_error_desc(status))
      throw SFTError(.internalError, "json-c refuses a text that is valid JSON: \(reason)")
    }
    return try body(value)
  }

  private func feed(_ piece: UnsafeRawBufferPointer) throws -> (OpaquePointer?, json_tokener_error) {
    guard let base = piece.baseAddress, let length = Int32(exactly: piece.count) else {
      throw SFTError(.badData, "a JSON value of \(byteCount(piece.count)) cannot be parsed")
    }
    let value = json_tokener_parse_ex(handle, base.assumingMemoryBound(to: CChar.self), length)
    return (value, json_tokener_get_error(handle))
  }
}

/// The text of a json-c string, U+0000 included. The bytes are json-c's own.
func stringBytes(_ value: OpaquePointer?) -> UnsafeBufferPointer<UInt8> {
  let start = UnsafeRawPointer(json_object_get_string(value))?.assumingMemoryBound(to: UInt8.self)
  return UnsafeBufferPointer(start: start, count: start == nil ? 0 : Int(json_object_get_string_len(value)))
}

/// Calls `body` with each member of a json-c object, in the order of the file.
func forEachMember(
  _ object: OpaquePointer?, _ body: (_ name: UnsafePointer<CChar>, _ value: OpaquePointer?) throws -> Void
) rethrows {
  guard let table = json_object_get_object(object) else { return }
  var next = lh_table_head(table)
  while let entry = next {
    if let name = lh_entry_k(entry) {
      try body(name.assumingMemoryBound(to: CChar.self), lh_entry_v(entry).map { OpaquePointer($0) })
    }
    next = lh_entry_next(entry)
  }
}
