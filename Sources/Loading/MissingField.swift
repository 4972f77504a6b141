import Core
import JSON

/// How to make records of what has other fields, from those of one; nil where they do not tell. `isElement`: of an array.
public func conversionAdvice(_ record: JSONObject, isElement: Bool) -> String? {
  Array(JSONValue.object(record).serialized.utf8).withUnsafeBytes { MissingField($0)?.conversion(isElement: isElement) }
}

/// What to say of a record that lacks a field, from the fields that it has.
struct MissingField {
  private let outline: ObjectOutline
  private let names: [String]

  /// nil where the record has no field of another name, so that there is nothing to say.
  init?(_ record: UnsafeRawBufferPointer) {
    guard let outline = ObjectOutline(record), !outline.names.allSatisfy(["instruction", "input", "output"].contains)
    else { return nil }
    self.outline = outline
    names = outline.names
  }

  /// "; it has "prompt" and "completion"".
  var fields: String {
    "; it has \(quotedList(names))"
  }

  /// What to do with a record of a file whose first records are instructions, or nothing that is known.
  var advice: String {
    if let (name, _) = turns {
      return DataFormat.listNames.contains(name)
        ? "It is a conversation: give those in a file of their own"
        : "It is a conversation: \(OptionName.columns) messages=\(name)"
    }
    if let name = outline.recordsMember {
      return "The records are in its \"\(name)\": take " + command("\(jqPath(name))[]", false)
    }
    guard let renamed else { return "A record needs \"instruction\" and \"output\", and perhaps \"input\"" }
    return "Say which of them are the record's: \(OptionName.columns) "
      + renamed.map { "\($0.field)=\($0.name)" }.joined(separator: ",")
  }

  func conversion(isElement: Bool) -> String? {
    if let filter = conversationFilter {
      return "It is a conversation, and a question has one turn: for the last two turns take "
        + command(filter, isElement)
    }
    if let name = outline.recordsMember {
      return "The records are in its \"\(name)\": take " + command("\(jqPath(name))[]", isElement)
    }
    return renamingFilter.map { "Rename its fields: " + command($0, isElement) }
  }

  private func command(_ filter: String, _ isElement: Bool) -> String {
    "jq -c '\(isElement ? ".[] | " : "")\(filter)' FILE > NEW.jsonl"
  }

  /// OpenAI's `messages` of role and content, ShareGPT's `conversations` of from and value, and their like.
  private var conversationFilter: String? {
    turns.map { name, text in "{instruction: \(jqPath(name))[-2].\(text), output: \(jqPath(name))[-1].\(text)}" }
  }

  /// The member that holds a conversation's turns, and what their text is called.
  private var turns: (name: String, text: String)? {
    for name in names {
      guard let turn = outline.firstElement(of: name), turn.isTurn,
        let text = ["content", "value", "text"].first(where: turn.names.contains)
      else { continue }
      return (name, text)
    }
    return nil
  }

  private var renamingFilter: String? {
    renamed.map { "{" + $0.map { "\($0.field): \(jqPath($0.name))" }.joined(separator: ", ") + "}" }
  }

  /// The record's fields, and what they are called.
  private var renamed: [(field: String, name: String)]? {
    guard let instruction = FieldNames.match(FieldNames.instruction, in: names),
      let output = FieldNames.match(FieldNames.output, in: names)
    else { return nil }
    let input = FieldNames.match(FieldNames.input, in: names).map { [("input", $0)] } ?? []
    return [("instruction", instruction)] + input + [("output", output)]
  }
}

/// A member of that name for jq, within single quotes of a shell.
func jqPath(_ name: String) -> String {
  func isWordByte(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) || (48...57).contains(byte) || byte == 95 }
  if let first = name.utf8.first, !(48...57).contains(first), name.utf8.allSatisfy(isWordByte) { return "." + name }
  let quoted = name.unicodeScalars.map { scalar in
    switch scalar {
    case "\"": "\\u0022"
    case "\\": "\\u005c"
    case "'": "\\u0027"
    default: String(scalar)
    }
  }
  return ".[\"\(quoted.joined())\"]"
}
