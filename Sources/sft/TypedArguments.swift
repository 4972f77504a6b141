import ArgumentParser
import Core

/// What was typed after `sft`, as far as it has to be known before it is parsed, or where it cannot be parsed.
package struct TypedArguments {
  /// Each negative number is joined to the option before it: `--lr -1` is `--lr=-1`. The parser would take the number for
  /// an option of its own, and say that the value is missing. An option that may stand alone gets its usual value.
  package let arguments: [String]

  /// An option that may be given without its value, which is then the second.
  private static let bare = (option: OptionName.trainTokens.description, value: "auto")

  package init(_ typed: some Sequence<String>) {
    var joined: [String] = []
    var isLiteral = false
    for argument in typed {
      if !isLiteral, joined.last == Self.bare.option, argument.hasPrefix("--") { joined.append(Self.bare.value) }
      if !isLiteral, let option = joined.last, Self.isOption(option), Self.isNegativeNumber(argument) {
        joined[joined.count - 1] = option + "=" + argument
      } else {
        joined.append(argument)
      }
      isLiteral = isLiteral || argument == "--"
    }
    if !isLiteral, joined.last == Self.bare.option { joined.append(Self.bare.value) }
    arguments = joined
  }

  /// Whether errors, too, are wanted as a value on standard output.
  var wantsJSON: Bool { arguments.prefix { $0 != "--" }.contains("--json") }

  /// Whether help or the version is wanted, which is the same wherever it is asked.
  var asksForHelp: Bool {
    arguments.first == "help" || !Set(arguments.prefix { $0 != "--" }).isDisjoint(with: ["--help", "-h", "--version"])
      || arguments.contains("--print-config")
  }

  /// "sft", "sft inspect data": the command as far as there is one of that name.
  var commandName: String { resolve().names.joined(separator: " ") }

  /// Throws `usage` for a verb that is not there, asked for as such or for its help. The parser would say that a value is
  /// unexpected, or show the help of everything.
  func checkVerb() throws {
    let (names, command, rest) = resolve()
    guard let unknown = rest.first, !unknown.hasPrefix("-") else { return }
    let verbs = command.configuration.subcommands.map { $0._commandName }
    guard !verbs.isEmpty else { return }
    let path = names.dropFirst() + [unknown]
    throw SFTError(
      .usage, "there is no verb '\(path.joined(separator: " "))'",
      advice: nearest(to: unknown, among: verbs).map { "The nearest is `\((names + [$0]).joined(separator: " "))`" }
        ?? "`\(names.joined(separator: " ")) --help` lists those that are there")
  }

  /// Follows the names of commands from `sft` on, behind `help` as well.
  func resolve() -> (names: [String], command: any ParsableCommand.Type, rest: ArraySlice<String>) {
    var rest = arguments[...]
    while rest.first == "help" { rest = rest.dropFirst() }
    var (names, command): ([String], any ParsableCommand.Type) = (["sft"], SFT.self)
    while let name = rest.first, let next = command.configuration.subcommands.first(where: { $0._commandName == name })
    {
      names.append(name)
      command = next
      rest = rest.dropFirst()
    }
    return (names, command, rest)
  }

  private static func isOption(_ argument: String) -> Bool {
    argument.hasPrefix("--") && argument.count > 2 && !argument.contains("=")
  }

  /// -1, -0.5, -.5, and what begins like it: a list of numbers, or a text.
  private static func isNegativeNumber(_ argument: String) -> Bool {
    guard argument.first == "-" else { return false }
    let digits = argument.dropFirst().first == "." ? argument.dropFirst(2) : argument.dropFirst()
    return digits.first.map { ("0"..."9").contains($0) } ?? false
  }
}

/// The name that takes the fewest edits to come from `word`; nil where that is more than half its letters.
func nearest(to word: String, among names: [String]) -> String? {
  let near = names.map { ($0, edits($0, word)) }.min { $0.1 < $1.1 }
  return near.flatMap { $0.1 * 2 <= $0.0.count ? $0.0 : nil }
}

/// Letters to insert, remove or replace to make one of the other (Levenshtein 1966).
private func edits(_ a: String, _ b: String) -> Int {
  let b = Array(b)
  var row = Array(0...b.count)
  for (i, letter) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in b.enumerated() {
      (diagonal, row[j + 1]) = (row[j + 1], min(min(row[j], row[j + 1]) + 1, diagonal + (letter == other ? 0 : 1)))
    }
  }
  return row[b.count]
}
