import ArgumentParser

extension CommandConfiguration {
  /// A verb's. `verb` is its name behind `sft`, and `usage` what goes behind that. Its help shows examples, then tells
  /// in paragraphs what the options cannot; the parser breaks the lines, so a paragraph must not be broken in the
  /// source.
  init(verb: String, abstract: String, usage: String = "[options]", discussion: String = "", examples: [String]) {
    let shown = "Examples:\n" + examples.map { "  " + $0 }.joined(separator: "\n")
    self.init(
      commandName: verb.split(separator: " ").last.map(String.init), abstract: abstract, usage: "sft \(verb) \(usage)",
      discussion: discussion.isEmpty ? shown : shown + "\n\n" + discussion)
  }
}

extension ArgumentHelp {
  /// Help on an option with a value, and what stands for the value: N, RATE, DIR.
  static func takes(_ value: String, _ text: String) -> ArgumentHelp { ArgumentHelp(text, valueName: value) }

  /// What `--threads` says everywhere.
  static let threads = takes("N", "Threads (default: the cores this process may use).")
}
