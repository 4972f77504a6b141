import Files
import JSON
import TestSupport
import Testing
import sft

/// What `--help` shows, for every verb there is.
@Suite struct HelpTests {
  /// A command as the parser describes it.
  private struct Command {
    let path: [String]
    let options: [JSONValue]
    let isVerb: Bool

    /// All commands from `value` on.
    static func all(_ value: JSONValue, below path: [String] = []) -> [Command] {
      let subcommands = (value["subcommands"]?.array ?? []).filter {
        $0["commandName"]?.string != "help" && $0["shouldDisplay"]?.bool != false
      }
      let options = (value["arguments"]?.array ?? []).filter {
        $0["kind"]?.string != "positional" && !["help", "version"].contains($0["preferredName"]?["name"]?.string)
      }
      let command = Command(path: path, options: options, isVerb: subcommands.isEmpty)
      return [command] + subcommands.flatMap { all($0, below: path + [$0["commandName"]?.string ?? "?"]) }
    }
  }

  private static func commands(_ sft: SFTBinary) throws -> [Command] {
    let commands = Command.all(try #require(try sft.succeed("--experimental-dump-help").json()["command"]))
    #expect(commands.count { $0.isVerb } >= 20)
    return commands
  }

  private static func name(_ option: JSONValue) -> String { option["preferredName"]?["name"]?.string ?? "?" }

  @Test func linesFitAndAreBrokenOnce() throws {
    try withSFT { sft in
      for command in try Self.commands(sft) {
        let lines = try sft.run(["help"] + command.path).output.split(separator: "\n", omittingEmptySubsequences: false)
        for line in lines { #expect(displayWidth(line) <= 80, "\(command.path): \(line)") }
        // A line of a paragraph ends where the next word would not fit, or would fill it to the last column.
        let top = lines.prefix { !$0.hasPrefix("USAGE") }
        let isExample: (Substring) -> Bool = { $0.hasPrefix("  ") || $0 == "Examples:" || $0 == "The usual way:" }
        let overview = top.filter { !isExample($0) }
        for (line, next) in zip(overview, overview.dropFirst()) where !line.isEmpty && !next.isEmpty {
          let word = next.prefix { $0 != " " }
          #expect(line.count + 1 + word.count >= 80, "\(command.path): \(line)")
        }
      }
    }
  }

  @Test func everyOptionIsInAGroupAndItsValueHasAName() throws {
    try withSFT { sft in
      for command in try Self.commands(sft) {
        for option in command.options {
          #expect(option["sectionTitle"]?.string?.isEmpty == false, "\(command.path): --\(Self.name(option))")
          if option["kind"]?.string == "option" {
            let value = option["valueName"]?.string ?? ""
            #expect(!value.isEmpty && value == value.uppercased(), "\(command.path): --\(Self.name(option)) <\(value)>")
            #expect(value.lowercased() != Self.name(option), "\(command.path): --\(Self.name(option)) <\(value)>")
          }
        }
      }
    }
  }

  @Test func everyVerbShowsTwoExamplesThatParse() throws {
    try withSFT { sft in
      for command in try Self.commands(sft) where command.isVerb {
        let lines = try sft.run(["help"] + command.path).output.split(separator: "\n", omittingEmptySubsequences: false)
        let examples = lines.drop { $0 != "Examples:" }.dropFirst().prefix { !$0.isEmpty }
        #expect(examples.count >= 2, "\(command.path)")
        for example in examples {
          let typed = words(example)
          #expect(typed.starts(with: ["sft"] + command.path), "\(example)")
          #expect(throws: Never.self, "\(example)") {
            try SFT.parseAsRoot(TypedArguments(typed.dropFirst()).arguments)
          }
        }
      }
    }
  }

  /// A line as a shell takes it apart, as far as it is quoted in examples.
  private func words(_ line: Substring) -> [String] {
    let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
    return parts.enumerated().flatMap { $0 % 2 == 1 ? [String($1)] : $1.split(separator: " ").map(String.init) }
  }

  @Test func negativeNumbersReachTheirOption() throws {
    try withSFT { sft in
      for command in try Self.commands(sft) {
        for option in command.options where option["kind"]?.string == "option" {
          for number in ["-1", "-1e-4", "-.5", "-1,2"] {
            let name = "--" + Self.name(option)
            #expect(
              TypedArguments(command.path + [name, number, "--json"]).arguments
                == command.path + ["\(name)=\(number)", "--json"])
          }
        }
      }
      for (arguments, message) in [
        (["train", "--lr", "-1e-4"], "--lr must be above 0."),
        (["prepare", "a.jsonl", "--seed", "-1"], "The value '-1' is invalid for '--seed <N>'"),
        (["prepare", "a.jsonl", "--seed", "-.5"], "The value '-.5' is invalid for '--seed <N>'"),
        (["generate", "--top-k", "-1,2", "--prompt", "a"], "The value '-1,2' is invalid for '--top-k <K>'"),
        (["cache", "gc", "--older-than", "-1"], "--older-than must not be negative."),
        (["train", "--resume", "-1"], "The option '--resume' does not take any value, but '-1' was specified."),
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 64)
        #expect(outcome.errors.hasPrefix("error: \(message)\n"), "\(outcome.errors)")
      }
      try sft.fail(64, "--val is -0.1, expected at least 0 and below 1.", "prepare", SFTBinary.records, "--val", "-0.1")
      // Behind -- a number is what it is.
      #expect(TypedArguments(["a", "--", "--x", "-1"]).arguments == ["a", "--", "--x", "-1"])
    }
  }

  @Test func aVerbThatIsNotThereIsAnError() throws {
    try withSFT { sft in
      try sft.fail(64, "there is no verb 'nonsense'. `sft --help` lists those that are there.", "help", "nonsense")
      try sft.fail(64, "there is no verb 'trian'. The nearest is `sft train`.", "help", "trian")
      try sft.fail(64, "there is no verb 'exprot'. The nearest is `sft export`.", "exprot", "--to", "out")
      try sft.fail(64, "there is no verb 'inspect dat'. The nearest is `sft inspect data`.", "inspect", "dat")
      try sft.fail(64, "there is no verb 'cache verfy'. The nearest is `sft cache verify`.", "help", "cache", "verfy")
      #expect(try sft.succeed("help", "inspect", "data").output == sft.succeed("inspect", "data", "--help").output)
    }
  }

  @Test func longLinesAreFoldedBetweenWordsAndCommands() {
    #expect(
      folded("optimiser   AdamW, lr 0.0002 linear to 0.0, clipping 1.0", 40)
        == "optimiser   AdamW, lr 0.0002 linear to\n            0.0, clipping 1.0")
    #expect(
      folded("error: stopped. Go on with `sft train --run run-1 --resume`.\nSee.", 40)
        == "error: stopped. Go on with\n`sft train --run run-1 --resume`.\nSee.")
    let path = "error: " + String(repeating: "x", count: 50)
    #expect(folded(path + " is not there.", 40) == "error:\n" + path.dropFirst(7) + "\nis not there.")
    #expect(folded("short\n\n  lines", 40) == "short\n\n  lines")
  }
}
