import Core
import JSON

/// Which members of an object, or columns of a table, hold the fields of a record, where they are not named as the fields are.
public struct ColumnNames: Sendable, Equatable {
  /// What a record may have.
  public static let fields = [
    "messages", "conversations", "tools", "prompt", "completion", "instruction", "input", "output", "system", "history",
    "question", "answer", "context", "text",
  ]

  /// Field → column, for the fields whose column has another name.
  public let columns: [String: String]

  public init() { columns = [:] }

  /// Reads `field=column,field=column`. Throws `usage` for any other text, an unknown field, or one given twice.
  public init(_ text: String) throws {
    var columns: [String: String] = [:]
    for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex, pair.index(after: equals) != pair.endIndex
      else { throw SFTError(.usage, "\"\(pair)\" is not field=column, as instruction=question") }
      let (field, column) = (String(pair[..<equals]), String(pair[pair.index(after: equals)...]))
      guard Self.fields.contains(field) else {
        throw SFTError(.usage, "a record has no field \"\(field)\"", advice: "Fields are \(quotedList(Self.fields))")
      }
      guard columns.updateValue(column, forKey: field) == nil else {
        throw SFTError(.usage, "the field \"\(field)\" is given twice")
      }
    }
    self.columns = columns
  }

  public var isEmpty: Bool { columns.isEmpty }

  /// As `init(_:)` reads it: `field=column` pairs, separated by commas and sorted by field.
  public var words: String { columns.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",") }

  /// What holds `field`. A column that holds another field does not hold that of its own name, too: no record has what is then
  /// returned.
  func column(_ field: String) -> String { columns[field] ?? (isTaken(field) ? "\u{1}" + field : field) }

  /// Whether a column holds a field of another name than its own, and not that as well.
  private func isTaken(_ column: String) -> Bool { columns[column] == nil && columns.values.contains(column) }

  /// The fields that members of these names hold.
  func fields(_ names: Set<String>) -> Set<String> {
    names.subtracting(columns.keys).filter { !isTaken($0) }.union(columns.filter { names.contains($0.value) }.keys)
  }

  /// With its members named as the fields that they hold.
  func renamed(_ object: JSONObject) -> JSONObject {
    if columns.isEmpty { return object }
    let mapped = columns.sorted { $0.key < $1.key }.compactMap { field, column in object[column].map { (field, $0) } }
    return JSONObject(mapped + object.members.filter { columns[$0.key] == nil && !isTaken($0.key) })
  }

  /// Fields that a record may do without.
  private static let optional: Set = ["input", "system", "history", "tools", "context"]

  /// Throws `badData` where a column that every record needs is not among `names`, those of the first records.
  func check(_ names: [String], file: String) throws {
    let needed = columns.filter { !Self.optional.contains($0.key) }.sorted { $0.key < $1.key }
    guard let (_, missing) = needed.first(where: { !names.contains($0.value) }), !names.isEmpty else { return }
    throw SFTError(
      .badData, "there is no column \"\(missing)\"; there are \(quotedList(Array(names.prefix(40))))", file: file)
  }
}
