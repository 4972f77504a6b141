import ArgumentParser
import Core
import Pipeline

extension TypedArguments {
  /// What is to be run, with what a settings file adds, and whether it is only to be shown.
  struct WithSettings {
    var arguments: [String]
    var settings: [TypedSetting]
    /// As a settings file; nil where it is to be run.
    var shown: String?
  }

  /// Takes in the file that `--config` names. Options and positional arguments that are typed win over those in the file.
  ///
  /// Throws as `SettingsFile` does.
  func withSettings() throws -> WithSettings {
    let (names, command, rest) = resolve()
    let verb = names.dropFirst().joined(separator: " ")
    guard command.configuration.subcommands.isEmpty, !verb.isEmpty, arguments.first == names.dropFirst().first,
      !rest.contains(where: { ["--help", "-h", "--version", "--experimental-dump-help"].contains($0) }),
      case let table = try OptionTable(command), let fileOption = table.fileOption
    else { return WithSettings(arguments: arguments, settings: [], shown: nil) }
    let typed = Typed(rest, table)
    let file = typed.settings.last { $0.name == fileOption }?.value
    let given = try file.map { try SettingsFile($0, table, verb: verb).settings } ?? []
    let taken = given.filter { !typed.has($0.entry) }
    let added = taken.flatMap { setting in
      setting.entry.isPositional
        ? setting.values
        : setting.entry.isFlag ? ["--" + setting.entry.name] : setting.values.map { "--\(setting.entry.name)=\($0)" }
    }
    let all =
      taken.flatMap { setting in
        setting.entry.isFlag
          ? [TypedSetting(name: setting.entry.name, value: nil)]
          : setting.values.map { TypedSetting(name: setting.entry.name, value: $0) }
      } + typed.settings.filter { setting in table.settings.contains { $0.name == setting.name } }
    // Of an option that is given twice the last counts.
    let counted = all.enumerated().filter { index, setting in
      let entry = table[setting.name]
      return entry?.isRepeating == true || entry?.isPositional == true
        || !all[(index + 1)...].contains { $0.name == setting.name }
    }.map(\.element)
    return WithSettings(
      arguments: Array(names.dropFirst()) + added + rest, settings: counted,
      shown: typed.settings.contains { $0.name == "print-config" } ? Self.text(counted, table, verb: verb) : nil)
  }

  /// What was typed behind the verb.
  private struct Typed {
    var settings: [TypedSetting] = []

    init(_ arguments: ArraySlice<String>, _ table: OptionTable) {
      let positional = table.entries.first(where: \.isPositional)?.name ?? ""
      var rest = arguments
      var isLiteral = false
      while let argument = rest.popFirst() {
        guard !isLiteral, argument.hasPrefix("--") else {
          settings.append(TypedSetting(name: positional, value: argument))
          continue
        }
        if argument == "--" {
          isLiteral = true
          continue
        }
        let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        if parts.count == 2 {
          settings.append(TypedSetting(name: name, value: String(parts[1])))
        } else if table[name]?.isFlag ?? true {
          settings.append(TypedSetting(name: name, value: nil))
        } else {
          // One without a value is the parser's to refuse.
          if let value = rest.first, !value.hasPrefix("--") {
            rest.removeFirst()
            settings.append(TypedSetting(name: name, value: value))
          }
        }
      }
    }

    /// Options of which one takes the place of the others.
    private static let exclusive: [Set<String>] = [
      [.epochs, .maxSteps], [.val, .valFile], [.batchSize, .batchTokens], [.gradientCheckpointing, .checkpointLayers],
    ].map { (names: [OptionName]) in Set(names.map(\.rawValue)) }
    private static let howQuantized: Set = ["quant", "no-double-quant", "quant-skip"]
    /// What a typed option leaves no place for.
    private static let without: [String: Set<String>] = [
      "no-qlora": howQuantized,
      OptionName.full.rawValue: howQuantized.union(RunOption.all.filter(\.isAdapters).map(\.name.rawValue)),
    ]

    /// Whether an option, its opposite, or one that takes its place was typed.
    func has(_ entry: OptionTable.Entry) -> Bool {
      let plain = entry.name.hasPrefix("no-") ? String(entry.name.dropFirst(3)) : entry.name
      let others = Self.exclusive.filter { $0.contains(entry.name) }.flatMap(\.self)
      return settings.contains { setting in
        setting.name == plain || setting.name == "no-" + plain || others.contains(setting.name)
          || Self.without[setting.name]?.contains(entry.name) ?? false
      }
    }
  }

  /// A settings file: what is said, and what is left to its default, each with its help, as comments.
  private static func text(_ settings: [TypedSetting], _ table: OptionTable, verb: String) -> String {
    let said = Set(settings.map(\.name))
    let rest = table.settings.filter { !said.contains($0.name) }.map { "# \($0.name):  \($0.help)" }
    return "# sft \(verb) --\(table.fileOption ?? "config") FILE\n" + TypedSetting.yaml(settings)
      + "# Not said, so at their defaults:\n"
      + rest.map { $0 + "\n" }.joined()
  }
}
