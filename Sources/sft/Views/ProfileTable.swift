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
  let lines = summary + tableLines([head] + rows).map { "  " + $0 }
  return (lines + (profile.scaling.map(scalingLines) ?? [])).joined(separator: "\n")
}

/// How an update would go on other numbers of cores, and which operations would hold it up on the most.
private func scalingLines(_ scaling: Scaling) -> [String] {
  let head = ["cores", "seconds", "efficiency", "one thread", "loops", "starts and ends"]
  let rows = scaling.predictions.map { prediction in
    [
      String(prediction.cores), fixed(prediction.seconds, 4), fixed(100 * prediction.efficiency, 0) + " %",
      fixed(prediction.serialSeconds, 4), fixed(prediction.loopSeconds, 4), fixed(prediction.synchronizationSeconds, 4),
    ]
  }
  let slowest = scaling.operations.prefix(3).map { $0.operation.replacing("_", with: " ") }
  let cores = scaling.predictions.last?.cores ?? 1
  return [
    "scaling     an update took \(fixed(scaling.seconds, 3)) s, \(fixed(1e3 * scaling.serialSeconds, 2)) ms of it outside "
      + "of \(fixed(scaling.loops, 0)) loops over threads; predicted with as many threads as cores:"
  ] + tableLines([head] + rows).map { "  " + $0 } + [
    "  slowest on \(cores) cores: \(slowest.joined(separator: ", "))"
  ]
}
