import Pipeline

/// The options of a verb, for documents and programs.
struct OptionListing {
  struct Row: Encodable {
    /// As it is typed.
    var option: String
    /// What stands for its value; nil for a flag.
    var value: String?
    var group: String
    var help: String
    /// Whether a resumed run may be given another; nil where it is none of a run.
    var mayChangeOnResume: Bool?
  }

  let rows: [Row]
  private let isTraining: Bool

  init(_ table: OptionTable, isTraining: Bool) {
    self.isTraining = isTraining
    let options = Dictionary(uniqueKeysWithValues: RunOption.all.map { ($0.name.rawValue, $0.isFixed) })
    // How exactly the base is quantised, and what a model from scratch is.
    let fixed: Set = ["quant", "no-double-quant", "quant-skip", "tokenizer", "vocab-size", "stride", "val"]
    rows = table.entries.filter { $0.name != "help" && $0.name != "version" }.map { entry in
      Row(
        option: entry.isPositional ? (entry.placeholder ?? entry.name) : "--" + entry.name,
        value: entry.isPositional ? nil : entry.placeholder,
        group: entry.group, help: entry.help + (entry.standard.map { " (default: \($0))" } ?? ""),
        mayChangeOnResume: isTraining ? fixed.contains(entry.name) ? false : options[entry.name].map { !$0 } : nil)
    }
  }

  var markdown: String {
    let head = ["option", "value", "what it is"] + (isTraining ? ["another on resume"] : [])
    let lines = rows.map { row in
      ["`\(row.option)`", row.value.map { "`\($0)`" } ?? "", row.help]
        + (isTraining ? [row.mayChangeOnResume.map { $0 ? "yes" : "no" } ?? ""] : [])
    }
    let text: ([String]) -> String = { cells in
      "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    return ([text(head), text(head.map { _ in "---" })] + lines.map(text)).joined(separator: "\n")
  }
}
