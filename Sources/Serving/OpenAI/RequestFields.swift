import Core
import JSON

/// Reads the members of a request one by one, and in the end refuses what nobody has read. Errors name the member.
struct RequestFields {
  private let object: JSONObject
  private var read: Set<String> = []

  init(_ object: JSONObject) { self.object = object }

  /// Null is the same as nothing.
  mutating func value(_ name: String) -> JSONValue? {
    read.insert(name)
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  mutating func string(_ name: String) throws(APIError) -> String? {
    guard let value = value(name) else { return nil }
    guard let text = value.string else { throw Self.wrongKind(name, "a string", value) }
    return text
  }

  mutating func required(_ name: String) throws(APIError) -> String {
    guard let text = try string(name), !text.isEmpty else {
      throw .invalid("'\(name)' is missing.", name, code: "missing_required_parameter")
    }
    return text
  }

  mutating func bool(_ name: String) throws(APIError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard let truth = value.bool else { throw Self.wrongKind(name, "true or false", value) }
    return truth
  }

  mutating func integer(_ name: String, _ range: ClosedRange<Int>) throws(APIError) -> Int? {
    guard let value = value(name) else { return nil }
    guard let number = value.int else { throw Self.wrongKind(name, "an integer", value) }
    guard range.contains(number) else {
      let bound =
        range.upperBound == .max ? "at least \(range.lowerBound)" : "in \(range.lowerBound) ... \(range.upperBound)"
      throw .invalid("'\(name)' must be \(bound), but is \(number).", name)
    }
    return number
  }

  /// `excludesLowest`: the lower bound itself is refused.
  mutating func number(
    _ name: String, _ range: ClosedRange<Double>, excludesLowest: Bool = false
  ) throws(APIError) -> Double? {
    guard let value = value(name) else { return nil }
    guard let number = value.double else { throw Self.wrongKind(name, "a number", value) }
    guard range.contains(number), !(excludesLowest && number == range.lowerBound) else {
      let low = excludesLowest ? "above" : "at least"
      throw .invalid(
        "'\(name)' must be \(low) \(plainNumber(range.lowerBound)) and at most \(plainNumber(range.upperBound)), "
          + "but is \(plainNumber(number)).", name)
    }
    return number
  }

  /// Refuses what was not read, unless `NeutralParameters` says that it asks for nothing. A null asks for nothing either.
  func refuseOthers(_ neutral: NeutralParameters) throws(APIError) {
    for (name, value) in object.members where !read.contains(name) && !value.isNull {
      try neutral.check(name, value)
    }
  }

  static func wrongKind(_ name: String, _ wanted: String, _ value: JSONValue) -> APIError {
    .invalid("'\(name)' must be \(wanted), but is \(value.kind).", name, code: "invalid_type")
  }
}
