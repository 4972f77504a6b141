import ArgumentParser
import Core
import Evaluating
import Files
import Pipeline

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Answers of the base and of the tuned model, side by side.")

  @OptionGroup var model: ModelOptions

  @Option(name: .long, help: "Questions: one a line, or JSONL with instruction, input and perhaps the expected output.")
  var questions: String

  @Option(name: .long, help: "Adapter folder (default: the newest run's).")
  var adapter: String?

  @Option(name: .long, help: "Folder for compare.json (default: compare/ID in the workspace).")
  var out: String?

  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace) { progress.note($0) }
    let settings = try decoding.settings()
    let asked = try loadQuestions(questions)
    var options = InferenceOptions(model)
    options.adapter = adapter
    options.needsAdapter = adapter == nil
    let session = try InferenceSession(options, workspace: workspace) { progress.note($0) }
    progress.note("comparing \(session.base.name) with itself and \(session.description)")
    // Answers take long: what cannot be written should be known before.
    if session.adapter != nil { try createDirectory(out ?? "\(workspace.path)/compare") }
    let comparison = try session.compare(asked, file: questions, settings) { done in
      progress.update(done, of: asked.count, "questions", isMilestone: done == asked.count)
    }
    progress.close()
    if common.json {
      try Terminal.printJSON(comparison)
    } else {
      print(ComparisonView(comparison, columns: Terminal.columns).text)
    }
    let folder = try write(comparison, in: workspace)
    let place = "written to \(folder)/compare.json"
    if common.json { progress.note(place) } else { print(place) }
  }

  /// `compare/ID`: the ID is of the content, so the same comparison has the same place.
  private func write(_ comparison: Comparison, in workspace: Workspace) throws -> String {
    let text = try reportEncoder(pretty: true).encode(comparison)
    let id = text.withUnsafeBytes { Digest(of: $0).short }
    let folder = out ?? "\(workspace.path)/compare/\(id)"
    try createDirectory(folder)
    try writeAtomically(Array(text) + [UInt8(ascii: "\n")], to: folder + "/compare.json")
    return folder
  }
}

/// A comparison for a terminal: each question, then the two answers in columns side by side.
struct ComparisonView {
  let comparison: Comparison
  let columns: Int

  init(_ comparison: Comparison, columns: Int) {
    self.comparison = comparison
    self.columns = max(40, min(columns, 160))
  }

  var text: String {
    let width = (columns - 3) / 2
    var lines: [String] = []
    for (index, item) in comparison.items.enumerated() {
      let title = "\(index + 1). \(item.question)" + (item.input.map { "\n\($0)" } ?? "")
      lines += wrap(title, columns).map { Terminal.style($0, "1") }
      if let reference = item.reference { lines += wrap("expected: \(reference)", columns) }
      lines.append(row("base" + mark(item.base), "tuned" + mark(item.tuned), width))
      lines.append(String(repeating: "─", count: width) + "─┬─" + String(repeating: "─", count: width))
      let (left, right) = (wrap(item.base.text, width), wrap(item.tuned.text, width))
      for line in 0..<max(left.count, right.count) {
        lines.append(row(line < left.count ? left[line] : "", line < right.count ? right[line] : "", width))
      }
      lines.append("")
    }
    return (lines + summary).joined(separator: "\n")
  }

  private var summary: [String] {
    let summary = comparison.summary
    func line(_ name: String, _ base: String, _ tuned: String) -> String {
      Self.padded(name, 24) + Self.padded(base, 12) + tuned
    }
    var lines = [
      line("\(summary.questions) questions", "base", "tuned"),
      line("ended by themselves", "\(summary.base.ended)", "\(summary.tuned.ended)"),
      line("mean length in tokens", fixed(summary.base.mean_tokens, 1), fixed(summary.tuned.mean_tokens, 1)),
    ]
    if let base = summary.base.exact_match, let tuned = summary.tuned.exact_match {
      lines.append(line("exactly as expected", "\(base)", "\(tuned) of \(summary.with_reference)"))
    }
    return lines
  }

  private func mark(_ answer: Comparison.Answer) -> String {
    answer.finish_reason == .length ? " (cut at \(answer.tokens) tokens)" : ""
  }

  private func row(_ left: String, _ right: String, _ width: Int) -> String {
    Self.padded(left, width) + " │ " + right
  }

  private func wrap(_ text: String, _ width: Int) -> [String] {
    var lines: [String] = []
    for paragraph in Terminal.printable(text).split(separator: "\n", omittingEmptySubsequences: false) {
      var line = ""
      for word in paragraph.split(separator: " ", omittingEmptySubsequences: false) {
        var word = Substring(word)
        if !line.isEmpty, displayWidth(line) + 1 + displayWidth(word) > width {
          lines.append(line)
          line = ""
        }
        while displayWidth(word) > width {
          var head = word.prefix(width)
          while displayWidth(head) > width { head = head.dropLast() }
          lines.append(String(head))
          word = word.dropFirst(max(1, head.count))
        }
        line += line.isEmpty ? word : " " + word
      }
      lines.append(line)
    }
    return lines
  }

  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - displayWidth(text)))
  }
}

/// Columns that text takes on a terminal: two for East Asian wide characters and emoji, none for what joins the one before.
func displayWidth(_ text: some StringProtocol) -> Int {
  text.reduce(0) { sum, character in
    guard let scalar = character.unicodeScalars.first else { return sum }
    if character == "\t" { return sum + 4 }
    let wide =
      (0x1100...0x115f).contains(scalar.value) || (0x2e80...0xa4cf).contains(scalar.value)
      || (0xac00...0xd7a3).contains(scalar.value) || (0xf900...0xfaff).contains(scalar.value)
      || (0xfe30...0xfe6f).contains(scalar.value) || (0xff00...0xff60).contains(scalar.value)
      || (0xffe0...0xffe6).contains(scalar.value) || (0x1f300...0x1faff).contains(scalar.value)
      || (0x20000...0x3fffd).contains(scalar.value)
    return sum + (wide || scalar.properties.isEmojiPresentation ? 2 : 1)
  }
}
