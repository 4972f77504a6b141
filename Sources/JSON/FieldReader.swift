import CJSON
import Core

/// Reads chosen members of many objects without building a `JSONValue` for each: the way from training data to
/// records. Not for use by two threads at once.
package struct FieldReader: ~Copyable {
  /// What one object holds under one name.
  package enum Field: Sendable, Equatable {
    case missing
    case null
    case text(String)
    /// Something else; in words, as in `JSONValue.kind`.
    case other(String)
  }

  /// With the zero at their end that json-c wants.
  private let names: [[CChar]]
  private let tokener: Tokener

  /// `names` without U+0000.
  package init(_ names: [String]) throws {
    self.names = names.map { Array($0.utf8CString) }
    tokener = try Tokener()
  }

  /// The fields of one object in the order of the names; nil when some object in it holds a name twice.
  ///
  /// `object` must be an object that a `JSONScanner` has accepted, and `memberCount` what it has counted in it.
  package func read(_ object: UnsafeRawBufferPointer, memberCount: Int) throws -> [Field]? {
    try tokener.withValue(object) { value in
      guard countMembers(value) == memberCount else { return nil }
      return names.map { name in
        var member: OpaquePointer?
        guard name.withUnsafeBufferPointer({ json_object_object_get_ex(value, $0.baseAddress, &member) }) != 0 else {
          return .missing
        }
        return field(member)
      }
    }
  }

  private func field(_ value: OpaquePointer?) -> Field {
    switch json_object_get_type(value) {
    case json_type_null: .null
    case json_type_string: .text(String(decoding: stringBytes(value), as: UTF8.self))
    case json_type_boolean: .other("a truth value")
    case json_type_int, json_type_double: .other("a number")
    case json_type_array: .other("an array")
    default: .other("an object")
    }
  }

  /// Members of all objects within a value.
  private func countMembers(_ value: OpaquePointer?) -> Int {
    switch json_object_get_type(value) {
    case json_type_object:
      var count = Int(json_object_object_length(value))
      forEachMember(value) { count += countMembers($1) }
      return count
    case json_type_array:
      var count = 0
      for index in 0..<json_object_array_length(value) {
        count += countMembers(json_object_array_get_idx(value, index))
      }
      return count
    default: return 0
    }
  }
}
