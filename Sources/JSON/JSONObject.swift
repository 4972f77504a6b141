/// The members of a JSON object in the order of the file. Equal when keys, values and order are.
public struct JSONObject: Sendable {
  /// Distinct keys, by bytes. A vocabulary may hold "é" and "e" + accent, which Swift's `==` calls the same.
  public var members: [(key: String, value: JSONValue)] {
    didSet { index = Self.makeIndex(members) }
  }

  /// Place of each key in `members`; only for objects large enough for it to pay.
  private var index: [ExactKey: Int]?

  /// Objects up to this size are searched from the front.
  private static let indexThreshold = 16

  /// Of two members with one key the first is found; `parseJSON` never makes such an object.
  public init(_ members: [(key: String, value: JSONValue)] = []) {
    self.members = members
    index = Self.makeIndex(members)
  }

  public var count: Int { members.count }
  public var keys: [String] { members.map(\.key) }

  /// O(1) for large objects, O(count) for small ones.
  public subscript(key: String) -> JSONValue? {
    if let index { return index[ExactKey(text: key)].map { members[$0].value } }
    return members.first { sameBytes($0.key, key) }?.value
  }

  private static func makeIndex(_ members: [(key: String, value: JSONValue)]) -> [ExactKey: Int]? {
    guard members.count > indexThreshold else { return nil }
    var index = [ExactKey: Int](minimumCapacity: members.count)
    for (place, member) in members.enumerated() where index[ExactKey(text: member.key)] == nil {
      index[ExactKey(text: member.key)] = place
    }
    return index
  }
}

extension JSONObject: Equatable {
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.members.elementsEqual(right.members) { sameBytes($0.key, $1.key) && $0.value == $1.value }
  }
}

/// A string compared and hashed by its bytes.
struct ExactKey: Hashable {
  let text: String

  static func == (left: ExactKey, right: ExactKey) -> Bool { sameBytes(left.text, right.text) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
