import Core
import Files
import JSON
import Pipeline
import Yams

/// A YAML file of options → arguments, each checked against those that the verb has.
struct SettingsFile {
  /// As they are typed, of one option or positional argument.
  struct Setting {
    var entry: OptionTable.Entry
    var values: [String]
  }

  let settings: [Setting]

  private static let mostBytes = 1 << 20

  /// Throws `badData` where the file is no YAML of names and values, `usage` for an option that `verb` does not have.
  init(_ path: String, _ table: OptionTable, verb: String) throws {
    let text = String(decoding: try readFile(path, limit: Self.mostBytes), as: UTF8.self)
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw error.located(path)
    }
    guard let root else {
      settings = []
      return
    }
    guard let mapping = root.mapping else {
      throw SFTError(.badData, "must hold names with values, as lora-r: 16", file: path, line: root.mark?.line)
    }
    settings = try mapping.flatMap { key, value in
      try Self.setting(key.string ?? "", value, table, verb: verb) { message, advice in
        SFTError(.usage, message, file: path, line: key.mark?.line, advice: advice)
      }
    }
  }

  private static func setting(
    _ name: String, _ value: Node, _ table: OptionTable, verb: String,
    _ failure: (_ message: String, _ advice: String?) -> SFTError
  ) throws -> [Setting] {
    // Names of other tools have lines where these have dashes.
    let name = name.replacing("_", with: "-")
    let names = table.settings.map(\.name)
    guard let entry = names.contains(name) ? table[name] : nil else {
      // "shuffle: false" is what --no-shuffle says.
      if let negative = table["no-" + name], negative.isFlag, let isOn = value.bool {
        return isOn ? [] : [Setting(entry: negative, values: [])]
      }
      throw failure(
        "`sft \(verb)` has no option \"\(name)\"",
        nearest(to: name, among: names).map { "The nearest is \"\($0)\"" } ?? "`sft help \(verb)` lists them")
    }
    if entry.isFlag {
      guard let isOn = value.bool else { throw failure("\"\(name)\" must be true or false", nil) }
      if isOn { return [Setting(entry: entry, values: [])] }
      return table["no-" + name].map { [Setting(entry: $0, values: [])] } ?? []
    }
    if value.null != nil { return [] }
    if let elements = value.sequence {
      let texts = elements.compactMap(\.scalar?.string)
      guard texts.count == elements.count else { throw failure("\"\(name)\" must be a list of single values", nil) }
      let isOneByOne = entry.isRepeating || entry.isPositional
      return texts.isEmpty ? [] : [Setting(entry: entry, values: isOneByOne ? texts : [texts.joined(separator: ",")])]
    }
    guard let text = value.scalar?.string else { throw failure("\"\(name)\" must be a value or a list of them", nil) }
    return [Setting(entry: entry, values: [text])]
  }
}

extension YamlError {
  /// As an error of the file at `path`, with its line where that is known.
  func located(_ path: String) -> SFTError {
    let (words, line): (String, Int?) =
      switch self {
      case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        (problem, mark.line)
      case .duplicatedKeysInMapping(let keys, let context):
        ("\(quotedList(keys.map(\.description))) stands in it twice", context.mark.line)
      default: ("\(self)".split(separator: "\n").first.map(String.init) ?? "\(self)", nil)
      }
    return SFTError(.badData, "is not valid YAML: \(words)", file: path, line: line)
  }
}
