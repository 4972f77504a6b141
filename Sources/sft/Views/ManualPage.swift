import ArgumentParser
import Core
import JSON

/// The manual page sft(1), made from what the verbs are parsed by.
struct ManualPage {
  private let root: JSONValue

  init() throws {
    let bytes = Array(SFT._dumpHelp().utf8)
    root = try bytes.withUnsafeBytes { try parseJSON($0, file: "the verbs") }["command"] ?? .null
  }

  /// In the macros of man(7).
  var text: String {
    let abstract = root["abstract"]?.string ?? ""
    var lines = [
      ".TH SFT 1 \"\" \"\(SFT.configuration.version)\" \"User Commands\"", ".SH NAME",
      "sft \\- " + Self.escaped(abstract.prefix(1).lowercased() + abstract.dropFirst().prefix { $0 != "." }),
      ".SH SYNOPSIS",
      ".B sft", "\\fIVERB\\fR [\\fIOPTIONS\\fR]", ".SH DESCRIPTION",
    ]
    lines += Self.paragraphs(root["discussion"]?.string ?? "")
    lines.append(".SH VERBS")
    for command in root["subcommands"]?.array ?? [] { lines += Self.verb(command, below: "sft") }
    return (lines + Self.end).joined(separator: "\n") + "\n"
  }

  private static func verb(_ command: JSONValue, below path: String) -> [String] {
    guard let name = command["commandName"]?.string, name != "help", command["shouldDisplay"]?.bool != false else {
      return []
    }
    let path = path + " " + name
    let subcommands = (command["subcommands"]?.array ?? []).filter { $0["commandName"]?.string != "help" }
    if !subcommands.isEmpty { return subcommands.flatMap { verb($0, below: path) } }
    var lines = [".SS \(escaped(path))", escaped(command["abstract"]?.string ?? "")]
    lines += paragraphs(command["discussion"]?.string ?? "")
    var group = ""
    for argument in command["arguments"]?.array ?? [] {
      let names = (argument["names"]?.array ?? []).compactMap { name in
        name["name"]?.string.map { (name["kind"]?.string == "short" ? "-" : "--") + $0 }
      }
      if names.contains("--help") || names.contains("--version") { continue }
      if let title = argument["sectionTitle"]?.string, title != group {
        group = title
        lines += [".PP", "\\fI\(escaped(title))\\fR"]
      }
      let value = argument["valueName"]?.string ?? ""
      let isFlag = argument["kind"]?.string == "flag"
      let typed =
        names.isEmpty ? escaped(value.uppercased()) : names.map { "\\fB\(escaped($0))\\fR" }.joined(separator: ", ")
      lines += [".TP", typed + (isFlag || names.isEmpty ? "" : " \\fI\(escaped(value))\\fR")]
      let standard = argument["defaultValue"]?.string.map { " (default: \($0))" } ?? ""
      lines.append(escaped((argument["abstract"]?.string ?? "") + standard))
    }
    return lines
  }

  /// Lines that begin with two spaces stand as they are.
  private static func paragraphs(_ text: String) -> [String] {
    var lines: [String] = []
    for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if paragraph.isEmpty {
        lines.append(".PP")
      } else if paragraph.hasPrefix("  ") {
        lines += [".RS", ".nf", escaped(paragraph.dropFirst(2)), ".fi", ".RE"]
      } else {
        lines += [".PP", escaped(paragraph)]
      }
    }
    return lines
  }

  /// Text that troff takes as it is.
  private static func escaped(_ text: some StringProtocol) -> String {
    let plain = String(text).replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("\n", with: " ")
    return plain.hasPrefix(".") || plain.hasPrefix("'") ? "\\&" + plain : plain
  }

  private static let end = [
    ".SH EXIT STATUS",
    "0 done; 64 usage; 65 bad data; 66 input not found; 70 internal, out of memory, or a loss that is no number; 73 an output "
      + "cannot be created; 74 input or output failed; 130 and 143 stopped by Ctrl\\-C or SIGTERM.",
    ".SH ENVIRONMENT", ".TP", "\\fBSFT_WORKSPACE\\fR", "Folder of artifacts and runs, where no option names one.",
    ".TP",
    "\\fBHF_HOME\\fR, \\fBHF_HUB_CACHE\\fR, \\fBHF_TOKEN\\fR, \\fBHF_ENDPOINT\\fR, \\fBHF_HUB_OFFLINE\\fR",
    "As the Hugging Face hub's own library has them.", ".TP", "\\fBSFT_JUDGE_API_KEY\\fR", "Key of the judge.",
  ]
}

/// Prints the manual page, for `make install`.
struct Manual: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual", abstract: "Print the manual page sft(1).", shouldDisplay: false)

  func run() throws { print(try ManualPage().text, terminator: "") }
}
