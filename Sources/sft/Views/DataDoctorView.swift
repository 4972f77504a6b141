import Auditing
import Core
import Pipeline

/// A report on prepared data for the terminal: counts first, then some of each kind.
struct DataDoctorView {
  private let doctor: DataDoctor
  private let limit: Int
  private let columns = Terminal.columns

  init(_ doctor: DataDoctor, limit: Int) { (self.doctor, self.limit) = (doctor, limit) }

  func lines() throws -> [String] {
    let report = doctor.report
    var lines = [
      "\(grouped(report.records)) records: \(grouped(report.training)) for training, \(grouped(report.validation)) for "
        + "validation", "",
    ]
    lines += lengths(report.lengths) + [""]
    let kinds = Finding.Kind.allCases.filter { report.count($0) > 0 }
    if kinds.isEmpty {
      lines.append("Nothing was found.")
    } else {
      lines += tableLines([["found", "records"]] + kinds.map { [$0.title, grouped(report.count($0))] })
    }
    if report.cutShort > 0 {
      lines += wrapped(
        "\(grouped(report.cutShort)) records are like very many others; only the first of those were looked at.",
        columns)
    }
    for kind in kinds where limit > 0 {
      lines += ["", heading("\(kind.title)\(kind.explanation(report))", shown: report.count(kind))]
      for finding in report.findings.lazy.filter({ $0.kind == kind }).prefix(limit) { lines += try example(finding) }
    }
    if let losses = report.losses { lines += try self.losses(losses) }
    return lines
  }

  private func lengths(_ lengths: DataReport.Lengths) -> [String] {
    func row(_ name: String, _ lengths: PreparedSummary.Lengths) -> [String] {
      [name]
        + [lengths.minimum, lengths.median, lengths.p90, lengths.p99, lengths.maximum].map(grouped)
        + [fixed(lengths.mean, 1)]
    }
    return tableLines([
      ["tokens of a", "least", "median", "90 %", "99 %", "most", "mean"], row("record", lengths.tokens),
      row("prompt", lengths.prompt), row("answer and EOS", lengths.answer),
    ])
  }

  private func heading(_ text: String, shown total: Int) -> String {
    Terminal.style(clipped(text + (total > limit ? ", the first \(limit)" : ""), columns), "1")
  }

  private func example(_ finding: DataReport.Finding) throws -> [String] {
    var relation = ""
    if let other = finding.other {
      let words = finding.kind == .conflictingAnswer ? "against" : finding.similarity == 1 ? "as" : "like"
      relation = "\(words) \(printable(other))"
      if let similarity = finding.similarity, similarity < 1 { relation += " (\(fixed(similarity, 2)))" }
    }
    if let removed = finding.removedTokens { relation = "without its first \(removed) tokens" }
    var lines = places(finding.place, relation) + [try excerpt(finding.number)]
    if finding.kind == .conflictingAnswer, let other = finding.otherNumber {
      lines.append(clipped("    before that: " + oneLine(try doctor.record(other).output), columns))
    }
    return lines
  }

  /// A place can be long, and is of use only whole: then each has its own line.
  private func places(_ place: String, _ relation: String) -> [String] {
    let first = "  " + printable(place).replacing("\n", with: " ")
    if relation.isEmpty { return [first] }
    let relation = relation.replacing("\n", with: " ")
    let line = first + "  " + relation
    return displayWidth(line) <= columns ? [line] : [first, "    " + relation]
  }

  /// The question's beginning and the answer's, on one line.
  private func excerpt(_ number: Int) throws -> String {
    let record = try doctor.record(number)
    let room = columns - 7
    let answer = clipped(oneLine(record.output), max(room / 3, room - displayWidth(oneLine(record.instruction))))
    let prompt = oneLine(record.instruction + (record.input.isEmpty ? "" : "\n" + record.input))
    return "    " + clipped(prompt, room - displayWidth(answer)) + " → " + answer
  }

  private func losses(_ losses: DataReport.Losses) throws -> [String] {
    var lines = ["", "loss under the base: \(fixed(losses.mean, 4)) over all answers"]
    let half = min(limit, losses.records.count)
    for (title, records) in [
      ("the highest", Array(losses.records.prefix(half))),
      ("the lowest", Array(losses.records.suffix(half).reversed())),
    ] where half > 0 {
      lines += ["", Terminal.style(title, "1")]
      for record in records {
        lines += places(record.place, "loss \(fixed(record.loss, 3)) over \(record.tokens) tokens")
        lines.append(try excerpt(record.number))
      }
    }
    return lines
  }
}

/// Safe to show, without line breaks and tabs.
private func oneLine(_ text: String) -> String {
  // More than any line shows need not be looked at.
  printable(String(text.prefix(2000))).split(whereSeparator: \.isNewline).joined(separator: " ⏎ ")
    .replacing("\t", with: " ")
}

/// At most `width` columns, with an ellipsis where something was left out.
private func clipped(_ text: String, _ width: Int) -> String {
  guard displayWidth(text) > width else { return text }
  var (kept, used) = ("", 1)
  for character in text {
    used += displayWidth(String(character))
    if used > width { break }
    kept.append(character)
  }
  return kept + "…"
}

extension Finding.Kind {
  fileprivate var title: String {
    switch self {
    case .leakedRecord: "validation records in training"
    case .leakedPrompt: "validation prompts in training"
    case .conflictingAnswer: "same prompt, another answer"
    case .exactDuplicate: "exact duplicates"
    case .nearDuplicate: "near duplicates"
    case .missingEOS: "without EOS"
    case .answerTooLong: "dropped: the answer does not fit"
    case .tooLong: "dropped: too long"
    case .truncatedPrompt: "prompt cut from its left"
    case .cutAnswer: "answer stops in the middle"
    case .emptyAnswer: "empty answers"
    case .oneTokenAnswer: "answers of one token"
    }
  }

  fileprivate func explanation(_ report: DataReport) -> String {
    switch self {
    case .leakedRecord, .leakedPrompt, .nearDuplicate: ": word pairs alike from \(report.similarity) on"
    default: ""
    }
  }
}
