import Core
import Pipeline

/// A run's profile for reading: what took the most time first.
func profileTable(_ profile: Profile) -> String {
  let head = ["operation", "calls", "seconds", "share", "GFLOP/s", "of sgemm"]
  let rows = profile.operations.map { entry in
    [
      entry.operation.replacing("_", with: " "), entry.calls > 0 ? grouped(entry.calls) : "",
      fixed(entry.seconds, 2), fixed(100 * entry.share, 1) + " %", entry.gflopsPerSecond.map { fixed($0, 0) } ?? "",
      entry.shareOfPeak.map { fixed(100 * $0, 0) + " %" } ?? "",
    ]
  }
  let summary = [
    "profile     \(profile.steps) updates in \(fixed(profile.seconds, 2)) s; \(profile.threads) threads were busy "
      + "\(fixed(100 * profile.utilization, 0)) % of the time",
    "products    \(fixed(profile.productGflop / profile.trainingSeconds, 0)) GFLOP/s outside of validation and saving, "
      + "\(fixed(100 * profile.shareOfPeak, 0)) % of this machine's sgemm (\(fixed(profile.sgemmGflops, 0)) GFLOP/s)",
  ]
  return (summary + tableLines([head] + rows).map { "  " + $0 }).joined(separator: "\n")
}
