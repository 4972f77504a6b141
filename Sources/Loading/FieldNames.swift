/// What others call the fields of a record, lower-case, the usual name first.
enum FieldNames {
  static let instruction = ["instruction", "prompt", "question", "query", "user", "human", "problem"]
  static let input = ["input", "context"]
  static let output = ["output", "completion", "response", "answer", "target", "assistant", "solution"]

  static func isKnown(_ name: String) -> Bool {
    let name = name.lowercased()
    return instruction.contains(name) || input.contains(name) || output.contains(name)
  }

  /// Whether a table with a column of that name may hold records.
  static func isColumn(_ name: String) -> Bool {
    isKnown(name) || ColumnNames.fields.contains(name.lowercased()) || ["질문", "답변"].contains(name)
  }

  /// The one of `names` that is meant by the earliest of `field`'s names.
  static func match(_ field: [String], in names: [String]) -> String? {
    for usual in field {
      if let name = names.first(where: { $0.lowercased() == usual }) { return name }
    }
    return nil
  }
}
