import ArgumentParser
import Core
import Files
import JSON

/// The options of a verb as they are declared to the parser: what a settings file may hold.
struct OptionTable {
  struct Entry {
    /// Without dashes; of a positional argument its own.
    var name: String
    var isFlag: Bool
    var isPositional: Bool
    var isRepeating: Bool
    /// What stands for its value in the help; nil for a flag.
    var placeholder: String?
    /// The group that the help shows it in.
    var group: String
    /// In a line.
    var help: String
    /// Where the help does not say it.
    var standard: String?
  }

  let entries: [Entry]

  /// What is said to `sft` and not to the verb's work.
  private static let left: Set = ["print-config", "help", "version", "json", "quiet"]

  init(_ command: any ParsableCommand.Type) throws {
    let bytes = Array(command._dumpHelp().utf8)
    let value = try bytes.withUnsafeBytes { try parseJSON($0, file: "the options of \(command._commandName)") }
    entries = (value["command"]?["arguments"]?.array ?? []).compactMap { argument in
      let isPositional = argument["kind"]?.string == "positional"
      let long = argument["names"]?.array?.first { $0["kind"]?.string == "long" }?["name"]?.string
      guard let name = isPositional ? argument["valueName"]?.string.map(Self.positionalName) : long else { return nil }
      return Entry(
        name: name, isFlag: argument["kind"]?.string == "flag", isPositional: isPositional,
        isRepeating: argument["isRepeating"]?.bool ?? false,
        placeholder: argument["kind"]?.string == "flag" ? nil : argument["valueName"]?.string,
        group: argument["sectionTitle"]?.string ?? "", help: argument["abstract"]?.string ?? "",
        standard: argument["defaultValue"]?.string)
    }
  }

  /// The parser knows them by what stands for them in the help.
  private static func positionalName(_ valueName: String) -> String {
    valueName.lowercased() == "file" ? "files" : valueName.lowercased()
  }

  /// What may stand in a file.
  var settings: [Entry] { entries.filter { !Self.left.contains($0.name) && $0.name != fileOption } }

  subscript(name: String) -> Entry? { entries.first { $0.name == name } }

  /// The option that takes a settings file; nil where the verb has none.
  var fileOption: String? {
    self["print-config"] == nil ? nil : self["settings"] == nil ? "config" : "settings"
  }
}
