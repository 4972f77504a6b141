import Core
import Yams

/// A key of another tool's settings with its value, and where it stands.
struct ForeignSetting {
  /// With the way to it where it is not at the top: `datasets[0].path`.
  let key: String
  private let node: Node
  private let file: String
  private let line: Int?

  init(_ key: String, _ node: Node, file: String, line: Int?) {
    (self.key, self.node, self.file, self.line) = (key, node, file, line)
  }

  var isNull: Bool { node.null != nil }

  var value: ForeignValue {
    var budget = 64
    return ForeignValue(node, budget: &budget)
  }

  /// That the value is not what the key takes.
  func failure(_ what: String) -> SFTError {
    SFTError(.badData, "\(quotedList([key])) \(what)", file: file, line: line)
  }

  func text() throws -> String {
    guard let text = node.scalar?.string, !text.isEmpty else { throw failure("must be a text") }
    return text
  }

  func flag() throws -> Bool {
    switch node.scalar?.string.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: throw failure("must be true or false")
    }
  }

  func number(in range: ClosedRange<Double> = -1e15...1e15) throws -> Double {
    guard let text = node.scalar?.string, let number = decimal(text.replacing("_", with: "")) else {
      throw failure("must be a number")
    }
    guard range.contains(number) else {
      throw failure("must be from \(plainNumber(range.lowerBound)) to \(plainNumber(range.upperBound))")
    }
    return number
  }

  func positive() throws -> Double {
    let number = try number()
    guard number > 0 else { throw failure("must be above 0") }
    return number
  }

  func whole(_ range: ClosedRange<Int>) throws -> Int {
    guard let number = try? number(), number.rounded() == number else { throw failure("must be a whole number") }
    guard range.contains(Int(number)) else {
      throw failure("must be from \(range.lowerBound) to \(grouped(range.upperBound))")
    }
    return Int(number)
  }

  var isList: Bool { node.sequence != nil }
  var isObject: Bool { node.mapping != nil }

  /// A list of texts, or one text: the texts between its commas.
  func texts() throws -> [String] {
    let texts: [String]
    if isList {
      texts = try elements().map { try $0.text() }
    } else {
      texts = try text().split(separator: ",").map { part in trimmedRight(String(part.drop { $0 == " " })) }
    }
    guard !texts.isEmpty, !texts.contains("") else { throw failure("must be a text or a list of texts") }
    return texts
  }

  /// A list of texts, or one text as it is.
  func names() throws -> [String] {
    if isList { return try elements().map { try $0.text() } }
    return [try text()]
  }

  func elements() throws -> [ForeignSetting] {
    guard let sequence = node.sequence else { throw failure("must be a list") }
    return sequence.enumerated().map { index, element in
      ForeignSetting("\(key)[\(index)]", element, file: file, line: element.mark?.line ?? line)
    }
  }

  func members() throws -> ForeignMembers {
    guard let mapping = node.mapping else { throw failure("must be an object with names and values") }
    return try ForeignMembers(mapping, of: key, file: file)
  }
}

/// Keys with values, of which each is asked for once.
struct ForeignMembers {
  /// In the file's order, without those that say nothing.
  let settings: [ForeignSetting]
  /// Keys that stand there without a value.
  let unset: Set<String>
  private let names: [String: Int]
  private var seen: Set<Int> = []

  /// `parent`: the key that holds them; nil at the top of the file.
  init(_ mapping: Node.Mapping, of parent: String?, file: String) throws {
    var settings: [ForeignSetting] = []
    var (unset, names) = (Set<String>(), [String: Int]())
    for (key, value) in mapping {
      guard let name = key.scalar?.string, !name.isEmpty else {
        throw SFTError(.badData, "has a key that is no name", file: file, line: key.mark?.line)
      }
      guard name != "<<" else {
        throw SFTError(
          .badData, "takes members from elsewhere with <<, which is not read", file: file, line: key.mark?.line,
          advice: "Write them where they belong")
      }
      let setting = ForeignSetting(parent.map { "\($0).\(name)" } ?? name, value, file: file, line: key.mark?.line)
      if setting.isNull {
        unset.insert(name)
      } else {
        names[name] = settings.count
        settings.append(setting)
      }
    }
    (self.settings, self.unset, self.names) = (settings, unset, names)
  }

  /// Whether there is one of that name, without asking for it.
  func has(_ name: String) -> Bool { names[name] != nil }

  /// nil where there is none of that name.
  mutating func find(_ name: String) -> ForeignSetting? {
    guard let index = names[name] else { return nil }
    seen.insert(index)
    return settings[index]
  }

  /// What nobody asked for.
  var rest: [ForeignSetting] { settings.indices.filter { !seen.contains($0) }.map { settings[$0] } }
}
