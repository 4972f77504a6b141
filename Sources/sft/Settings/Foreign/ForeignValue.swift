import Core
import Yams

/// A value of a settings file, as far as it is told again: in a table for people, and as JSON for programs.
enum ForeignValue: Encodable {
  case null
  case flag(Bool)
  case whole(Int)
  case number(Double)
  case text(String)
  case list([ForeignValue])
  case members([String: ForeignValue])

  /// What a plain text stands for in YAML.
  init(plain text: String) {
    switch text.lowercased() {
    case "", "~", "null": self = .null
    case "true", "yes", "on": self = .flag(true)
    case "false", "no", "off": self = .flag(false)
    default:
      if let whole = Int(text), String(whole) == text {
        self = .whole(whole)
      } else if let number = decimal(text) {
        self = .number(number)
      } else {
        self = .text(text)
      }
    }
  }

  /// Takes no more than `budget` parts of the node: a few aliases can make a short file a very large value.
  init(_ node: Node, budget: inout Int) {
    budget -= 1
    guard budget > 0 else {
      self = .text("…")
      return
    }
    switch node {
    case .scalar(let scalar):
      self = scalar.style == .plain ? ForeignValue(plain: scalar.string) : .text(scalar.string)
    case .sequence(let sequence):
      var elements: [ForeignValue] = []
      for element in sequence where budget > 0 { elements.append(ForeignValue(element, budget: &budget)) }
      self = .list(elements)
    case .mapping(let mapping):
      var members: [String: ForeignValue] = [:]
      for member in mapping where budget > 0 {
        members[member.key.scalar?.string ?? "?"] = ForeignValue(member.value, budget: &budget)
      }
      self = .members(members)
    case .alias: self = .text("…")
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .flag(let isOn): try container.encode(isOn)
    case .whole(let number): try container.encode(number)
    case .number(let number): try container.encode(number)
    case .text(let text): try container.encode(text)
    case .list(let elements): try container.encode(elements)
    case .members(let members): try container.encode(members)
    }
  }

  /// A few words on one line.
  var shown: String {
    switch self {
    case .null: return "null"
    case .flag(let isOn): return isOn ? "true" : "false"
    case .whole(let number): return String(number)
    case .number(let number): return plainNumber(number)
    case .text(let text): return Self.line(text, 40)
    case .list(let elements):
      if elements.count > 3 { return "\(elements.count) entries" }
      return "[" + elements.map(\.shown).joined(separator: ", ") + "]"
    case .members(let members): return counted(members.count, "member")
    }
  }

  /// A text on one line of so many characters at most.
  static func line(_ text: String, _ limit: Int) -> String {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    return line.count > limit ? String(line.prefix(limit - 1)) + "…" : line
  }
}

/// A finite number as people write it in decimal: 3, -0.5, 2e-4; nil for everything else.
func decimal(_ text: String) -> Double? {
  guard text.utf8.contains(where: { (48...57).contains($0) }),
    text.utf8.allSatisfy({ (48...57).contains($0) || "+-.eE".utf8.contains($0) }), let number = Double(text),
    number.isFinite
  else { return nil }
  return number
}
