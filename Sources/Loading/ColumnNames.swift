import Core
import JSON

/// Which members of an object, or columns of a table, hold the fields of a record, where they are not named as the fields are.
public struct ColumnNames: Sendable, Equatable {
  /// What a record may have.
  public static let fields = [
    "messages", "conversations", "tools", "prompt", "completion", "instruction", "input", "output", "system", "history",
    "question", "answer", "context", "text",
  ]

  /// Of the fields that are named otherwise.
  public let columns: [String: String]

  public init() { columns = [:] }

  /// From `field=column,field=column`. Throws `usage` where it is not that.
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

  /// The same from text to text, in one order.
  public var words: String { columns.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",") }

  /// What holds `field`.
  func column(_ field: String) -> String { columns[field] ?? field }

  /// The fields that members of these names hold.
  func fields(_ names: Set<String>) -> Set<String> {
    names.subtracting(columns.keys).union(columns.filter { names.contains($0.value) }.keys)
  }

  /// With its members named as the fields that they hold.
  func renamed(_ object: JSONObject) -> JSONObject {
    if columns.isEmpty { return object }
    let mapped = columns.sorted { $0.key < $1.key }.compactMap { field, column in object[column].map { (field, $0) } }
    return JSONObject(mapped + object.members.filter { columns[$0.key] == nil })
  }

  /// Throws `badData` where a column is not among those that a file has.
  func check(_ names: [String], file: String) throws {
    guard let (_, missing) = columns.sorted(by: { $0.key < $1.key }).first(where: { !names.contains($0.value) }),
      !names.isEmpty
    else { return }
    throw SFTError(.badData, "there is no column \"\(missing)\"; there are \(quotedList(names))", file: file)
  }
}
