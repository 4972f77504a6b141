import Core
import Evaluating
import Pipeline

/// A comparison for a terminal: some questions, each with its answers in columns side by side or one below the other; then
/// the measures.
struct ComparisonView {
  let comparison: Comparison
  let columns: Int
  let shown: Int
  /// Say nothing that tells the models apart.
  let isBlind: Bool
  private var names: [String] { comparison.names.map(printable) }

  init(_ comparison: Comparison, columns: Int, shown: Int = .max, isBlind: Bool = false) {
    self.comparison = comparison
    self.columns = max(40, min(columns, 160))
    self.shown = shown
    self.isBlind = isBlind
  }

  var text: String {
    if isBlind {
      return "\(comparison.items.count) questions answered. Whose answer is whose is told when the votes are counted."
    }
    var lines = comparison.items.prefix(shown).enumerated().flatMap { item($1, $0) }
    let rest = comparison.items.count - shown
    if rest > 0, shown > 0 { lines += ["… \(grouped(rest)) more in compare.html", ""] }
    return (lines + summary).joined(separator: "\n")
  }

  private func item(_ item: Comparison.Item, _ index: Int) -> [String] {
    let title = "\(index + 1). \(item.question)" + (item.input.map { "\n\($0)" } ?? "")
    var lines = wrapped(title, columns).map { Terminal.style($0, "1") }
    for (index, choice) in (item.choices ?? []).enumerated() {
      lines += wrapped("\(index == item.answer ? "*" : " ") \(index)) \(choice)", columns)
    }
    if let reference = item.reference { lines += wrapped("expected: \(reference)", columns) }
    if let others = item.adapters {
      // Too many for columns.
      for (name, answer) in zip(names, [item.base, item.tuned] + others) {
        lines += wrapped("\(name)\(mark(answer)): \(answer.text)", columns)
      }
    } else {
      lines += sideBySide(item)
    }
    return lines + [""]
  }

  private func sideBySide(_ item: Comparison.Item) -> [String] {
    let width = (columns - 3) / 2
    var lines = [row(names[0] + mark(item.base), names[1] + mark(item.tuned), width)]
    lines.append(String(repeating: "─", count: width) + "─┬─" + String(repeating: "─", count: width))
    let (left, right) = (wrapped(item.base.text, width), wrapped(item.tuned.text, width))
    for line in 0..<max(left.count, right.count) {
      lines.append(row(line < left.count ? left[line] : "", line < right.count ? right[line] : "", width))
    }
    return lines
  }

  private func mark(_ answer: Comparison.Answer) -> String {
    let choice = answer.measures.choice.map { " chose \($0.chosen)" } ?? ""
    return (answer.finishReason == .length ? " (cut at \(answer.tokens) tokens)" : "") + choice
  }

  private func row(_ left: String, _ right: String, _ width: Int) -> String { padded(left, width) + " │ " + right }

  // MARK: - Summary

  /// "86 % (121/140)".
  private static func share(_ count: Int, of total: Int) -> String {
    "\(Int((100 * Double(count) / Double(max(1, total))).rounded())) % (\(count)/\(total))"
  }

  private var summary: [String] {
    let summary = comparison.summary
    let scores = [summary.base, summary.tuned] + (summary.adapters ?? [])
    func line(_ name: String, _ texts: [String]) -> String {
      padded(name, 24) + texts.dropLast().map { padded($0, 15) + " " }.joined() + (texts.last ?? "")
    }
    var lines = [
      line("\(summary.questions) questions", names),
      line("ended by themselves", scores.map { Self.share($0.ended, of: summary.questions) }),
      line("mean length in tokens", scores.map { fixed($0.meanTokens, 1) }),
    ]
    func add(_ name: String, _ value: (Comparison.Score) -> String?) {
      let texts = scores.compactMap(value)
      if texts.count == scores.count { lines.append(line(name, texts)) }
    }
    func add(_ name: String, of total: Int, _ count: (Comparison.Score) -> Int?) {
      add(name) { count($0).map { Self.share($0, of: total) } }
    }
    add("exactly as expected", of: summary.withReference) { $0.exactMatch }
    add("right choices", of: summary.withChoices) { $0.choicesRight }
    if comparison.settings.sameTokenizer {
      add("perplexity of expected") { $0.perplexity.map { $0 < 1e5 ? fixed($0, 2) : "over 100,000" } }
    }
    if let judge = summary.judge {
      lines.append(
        line(
          "preferred by the judge",
          [
            "\(judge.base)",
            "\(judge.tuned), \(judge.ties) ties, sign test p \(Self.probability(judge.pValue))"
              + (judge.votes == summary.questions ? "" : ", of \(judge.votes) judged"),
          ]))
    }
    for (index, differences) in ([summary.differences] + (summary.adapterDifferences ?? [])).enumerated() {
      lines += ["", heading(index)] + differences.map(self.line)
    }
    return lines + regressions + [""] + notes
  }

  /// Where tuned is worse, by number.
  private var regressions: [String] {
    let all = comparison.summary.regressions
    if all.isEmpty { return [] }
    let some = all.prefix(20).map { "\($0 + 1)" }.joined(separator: ", ")
    return ["", "worse than base on questions \(some)\(all.count > 20 ? ", … (\(all.count) in all)" : "")"]
  }

  private func heading(_ index: Int) -> String {
    Terminal.style(
      padded("\(names[index + 1]) against base", 22) + paddedLeft("base", 8)
        + paddedLeft(names[index + 1], 10) + paddedLeft("95 % interval", 18)
        + paddedLeft("won/tied/lost", 15) + paddedLeft("p", 7), "1")
  }

  /// 80 columns: name 22, base 8, tuned 10, interval of the difference 18, counts 15, p 7.
  private func line(_ difference: Comparison.Difference) -> String {
    var interval = "–"
    if let low = difference.low, let high = difference.high { interval = "\(Self.signed(low)) \(Self.signed(high))" }
    let sign = difference.conclusion == .better ? "✓" : difference.conclusion == .worse ? "✗" : " "
    let text =
      padded("\(sign) \(difference.measure.title)", 22) + paddedLeft(Self.value(difference.base), 8)
      + paddedLeft(Self.value(difference.tuned), 10) + paddedLeft(interval, 18)
      + paddedLeft("\(difference.wins)/\(difference.ties)/\(difference.losses)", 15)
      + paddedLeft(Self.probability(difference.pValue), 7)
    let colour = difference.conclusion == .better ? "32" : difference.conclusion == .worse ? "31" : "0"
    return Terminal.style(text, colour)
  }

  private var notes: [String] {
    var text =
      "✓ better, ✗ worse beyond chance: the interval of the difference (bootstrap over questions) leaves out 0; p of the "
      + "exact sign test. Of so many measures, one in twenty differs by chance."
    if comparison.items.count < 20 { text += " With so few questions the intervals are too narrow." }
    if comparison.summary.withReference > 0 {
      text +=
        " ROUGE-L by "
        + (comparison.settings.rougeWords == .ascii ? "rouge-score's words (a-z, 0-9)." : "words of any script.")
    }
    if !comparison.settings.sameTokenizer {
      text += " The tokenizers differ, so nothing that counts tokens is compared."
    }
    return wrapped(text, columns)
  }

  private static func value(_ value: Double) -> String {
    fixed(value, abs(value) >= 1000 ? 0 : abs(value) >= 100 ? 1 : abs(value) >= 10 ? 2 : 3)
  }

  private static func signed(_ number: Double) -> String { (number > 0 ? "+" : "") + value(number) }

  static func probability(_ p: Double) -> String { p < 0.001 ? "<0.001" : fixed(p, 3) }
}
