import Core
import Pipeline

/// A plan in lines with a label each.
struct PlanView {
  private let plan: TrainingPlan

  init(_ plan: TrainingPlan) { self.plan = plan }

  /// In one line, for the start of a run.
  var short: String {
    "plan        \(memory)\(parts(of: plan.memory, atMost: 3)); \(byteCount(plan.diskBytes)) on the disk; \(time)"
  }

  private var memory: String {
    "\(byteCount(plan.peakMemoryBytes)) of memory"
      + (plan.availableMemoryBytes.map { " of \(byteCount($0)) available" } ?? "")
  }

  private var time: String {
    "about \(duration(plan.secondsPerUpdate)) an update, \(clockTime(plan.seconds)) in all"
  }

  private func duration(_ seconds: Double) -> String {
    seconds < 10 ? "\(fixed(seconds, seconds < 0.1 ? 3 : 2)) s" : clockTime(seconds)
  }

  /// The largest first.
  private func parts(of parts: [TrainingPlan.Part], atMost count: Int) -> String {
    let largest = parts.sorted { $0.bytes > $1.bytes }.prefix(count)
    return largest.isEmpty
      ? "" : " (" + largest.map { "\($0.name) \(byteCount($0.bytes))" }.joined(separator: ", ") + ")"
  }

  var lines: [String] {
    var lines = [
      "model       \(plan.model)",
      "data        \(grouped(plan.records)) records, \(grouped(plan.tokensPerEpoch)) tokens an epoch; at most "
        + "\(grouped(plan.largestBatchRows)) rows a micro-batch",
      "memory      \(memory)" + (plan.fits ? "" : ": it does not fit"),
    ]
    lines += table(plan.memory)
    lines.append(
      "disk        \(byteCount(plan.diskBytes))" + (plan.freeDiskBytes.map { " of \(byteCount($0)) free" } ?? ""))
    lines += table(plan.disk)
    lines.append("time        \(grouped(plan.updates)) updates, \(time)")
    if !plan.fits {
      lines += plan.suggestions.map {
        "would fit   \($0.flags): \(byteCount($0.peakMemoryBytes)), \(duration($0.secondsPerUpdate)) an update"
      }
      if plan.suggestions.isEmpty { lines.append("would fit   nothing: use a smaller model, or a machine with more") }
    }
    return lines
  }

  private func table(_ parts: [TrainingPlan.Part]) -> [String] {
    parts.map { "            \($0.name) \(byteCount($0.bytes))" }
  }
}
