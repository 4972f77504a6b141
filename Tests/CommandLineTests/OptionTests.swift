import Core
import Files
import Foundation
import JSON
import Pipeline
import TestSupport
import Testing
import sft

/// An option is declared once: everything else knows it by its `OptionName`.
@Suite struct OptionTests {
  private static let sources = parentPath(parentPath(fixturesFolder)) + "/Sources"
  /// Flags of other programs.
  private static let foreign: Set = ["HTTP/Curl.swift"]

  private static let verbs = [
    "fetch", "prepare", "train", "plan", "compare", "export", "generate", "chat", "serve", "eval", "lr-find", "report",
    "runs",
    "inspect", "quantize", "pretrain", "tokenize", "tokenizer", "render", "config", "cache", "doctor", "\\(",
  ]

  /// `--flags` in the string literals of a line of Swift, without those in commands to be copied, as `sft train --lora-r 16`.
  private static func flags(_ line: Substring) -> [String] {
    let trimmed = line.drop { $0 == " " }
    if trimmed.hasPrefix("//") || verbs.contains(where: { line.contains("sft \($0)") }) { return [] }
    return line.matches(of: /--([a-z][a-z0-9]*(-[a-z0-9]+)*)/).map { String($0.output.1) }
  }

  private static func files(in folder: String) throws -> [String] {
    let found = try #require(FileManager.default.enumerator(atPath: folder)).compactMap { $0 as? String }
    return found.filter { $0.hasSuffix(".swift") }.sorted()
  }

  @Test func noFlagIsSpelledOutsideItsDeclaration() throws {
    let files = try Self.files(in: Self.sources)
    #expect(files.count > 300)
    let named = Set(OptionName.allCases.map(\.rawValue))
    for file in files where !Self.foreign.contains(file) && !file.hasPrefix("make-world/") {
      let text = String(decoding: try readFile(Self.sources + "/" + file), as: UTF8.self)
      for line in text.split(separator: "\n") {
        // The program's own verbs may speak of options that nobody else does.
        let flags = Self.flags(line).filter { !file.hasPrefix("sft/") || named.contains($0) }
        #expect(flags == [], "\(file): \(line)")
      }
    }
    #expect(Self.flags(#"  throw Wrong("leave --seed and --lr-to out")"#) == ["seed", "lr-to"])
    #expect(Self.flags("  // --seed") == [] && Self.flags(#"  "sft train --seed 7""#) == [])
  }

  @Test func everyNameIsAnOptionAndEveryOptionOfATrainingIsInTheTable() throws {
    try withSFT { sft in
      var options: [String: Set<String>] = [:]
      func collect(_ command: JSONValue, _ path: [String]) {
        for argument in command["arguments"]?.array ?? [] {
          let long = (argument["names"]?.array ?? []).filter { $0["kind"]?.string == "long" }
          options[path.joined(separator: " "), default: []].formUnion(long.compactMap { $0["name"]?.string })
        }
        for subcommand in command["subcommands"]?.array ?? [] {
          collect(subcommand, path + [subcommand["commandName"]?.string ?? "?"])
        }
      }
      collect(try #require(try sft.succeed("--experimental-dump-help").json()["command"]), [])
      let all = options.values.reduce(into: Set()) { $0.formUnion($1) }
      for name in OptionName.allCases { #expect(all.contains(name.rawValue), "\(name) is no verb's option") }
      let declared = Set(RunOption.all.map(\.name.rawValue))
      #expect(declared.count == RunOption.all.count)
      // What is not of the training itself: where it is kept, what is said of it, and how exactly the base is quantised.
      let besides: Set = [
        "run", "resume", "workspace", "quiet", "json", "help", "version", "config", "print-config", "quant",
        "no-double-quant", "quant-skip", "no-qlora",
      ]
      #expect(try #require(options["train"]).subtracting(besides) == declared)
    }
  }

  @Test func theTableOfAVerbIsWhatItIsParsedBy() throws {
    try withSFT { sft in
      let rows = try #require(try sft.succeed("config", "options", "train", "--json").json().array)
      func mayChange(_ option: String) -> Bool? {
        rows.first { $0["option"]?.string == option }?["may_change_on_resume"]?.bool
      }
      #expect(Set(RunOption.all.map(\.name.description)).subtracting(rows.compactMap { $0["option"]?.string }) == [])
      for option in RunOption.all { #expect(mayChange(option.name.description) == !option.isFixed, "\(option.name)") }
      #expect(mayChange("--lora-r") == false && mayChange("--profile") == true && mayChange("--tensorboard") == true)
      #expect(mayChange("--quant-skip") == false && mayChange("--run") == nil && mayChange("--json") == nil)
      let table = try sft.succeed("config", "options", "cache", "gc").output
      #expect(table.hasPrefix("| option | value | what it is |\n| --- | --- | --- |\n| `--older-than` | `DAYS` | "))
      #expect(try sft.run(["config", "options", "nonsense"]).code == 64)
      #expect(try sft.run(["config", "options", "inspect"]).code == 64)
    }
  }

  @Test func theManualPageHasEveryVerbAndOption() throws {
    try withSFT { sft in
      let page = try sft.succeed("manual").output
      let lines = page.split(separator: "\n")
      let macros: Set = [".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".RS", ".RE", ".nf", ".fi"]
      for line in lines where line.hasPrefix(".") || line.hasPrefix("'") {
        #expect(macros.contains(String(line.prefix { $0 != " " })), "\(line)")
      }
      let verbs = lines.filter { $0.hasPrefix(".SS sft ") }.map {
        $0.dropFirst(".SS sft ".count).replacing("\\-", with: "-")
      }
      #expect(Set(["fetch", "prepare", "train", "config from", "inspect data", "lr-find"]).subtracting(verbs) == [])
      #expect(!verbs.contains("manual") && verbs.count >= 25)
      for option in RunOption.all {
        let typed = option.name.description.replacing("-", with: "\\-")
        #expect(page.contains("\\fB\(typed)\\fR"), "\(option.name)")
      }
    }
  }

  /// Names are how this program's users write them: a server's write members of a JSON object.
  @Test func whoShowsANameSaysHowItIsWritten() {
    #expect("\(OptionName.topK)" == "--top-k" && "\(OptionName.seed)" == "--seed")
    #expect(OptionName.topK.spelled(.member) == "top_k")
  }
}
