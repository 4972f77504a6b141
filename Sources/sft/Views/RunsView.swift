import Core
import Files
import Glibc
import Pipeline
import Training

/// A row for each run.
func runsTable(_ runs: [RunOverview]) -> String {
  let head = ["run", "started", "state", "model", "data", "updates", "best loss"]
  let rows = runs.map { run in
    [
      run.name, localTime(run.startedSeconds), stateWords(run), run.modelName, dataWords(run.data),
      "\(run.step)/\(run.steps)", run.bestLoss.map { fixed($0, 4) } ?? "–",
    ]
  }
  return tableLines([head] + rows, words: 5).map(trimmedRight).joined(separator: "\n")
}

/// A run in a line for each thing to know of it.
func runLines(_ run: RunOverview, _ recorded: RecordedRun) throws -> String {
  let (settings, folder) = (recorded.configuration.settings, recorded.folder)
  let schedule = settings.schedule
  var lines = [
    ("run", run.path),
    ("state", "\(stateWords(run)), \(grouped(run.step)) of \(grouped(run.steps)) updates"),
    ("started", localTime(run.startedSeconds)),
    ("model", run.model),
    ("data", run.data.isEmpty ? "gone" : run.data.joined(separator: ", ")),
    ("trained", trainedWords(recorded)),
    (
      "batch",
      (settings.batchTokens.map { "\(grouped($0)) tokens" } ?? "\(settings.batchSize)")
        + " × \(settings.gradientAccumulation)"
    ),
    (
      "rate",
      "\(scientific(schedule.learningRate)) \(schedule.kind.rawValue), warm-up \(grouped(schedule.warmupSteps)), "
        + settings.optimizer.rawValue
    ),
  ]
  if let failure = run.failure { lines.insert(("failure", failure), at: 2) }
  if let loss = run.bestLoss, let step = run.bestStep {
    lines.append(("best", "validation loss \(fixed(loss, 4)) at step \(step)"))
  }
  let weights = try [folder.best, folder.adapter, folder.model].filter(directoryExists)
  if !weights.isEmpty { lines.append(("weights", weights.joined(separator: ", "))) }
  if !run.checkpoints.isEmpty {
    lines.append(("checkpoints", run.checkpoints.map(String.init).joined(separator: ", ")))
  }
  if [.stopped, .failed].contains(run.state) {
    lines.append(("go on with", recorded.configuration.resumeCommand(folder)))
  }
  return lines.map { padded($0.0, 12) + $0.1 }.joined(separator: "\n")
}

private func stateWords(_ run: RunOverview) -> String { run.stoppedEarly ? "finished early" : run.state.rawValue }

private func trainedWords(_ run: RecordedRun) -> String {
  let settings = run.configuration.settings
  guard let lora = settings.lora else {
    return settings.method == .full ? "all weights" : "all weights, from random ones"
  }
  return "LoRA r \(lora.rank), alpha \(fixed(lora.alpha, 0))"
    + (run.configuration.quantization.map { " over a base in \($0.description)" } ?? "")
}

/// The first file's name, and how many there are beside it.
private func dataWords(_ files: [String]) -> String {
  guard let first = files.first else { return "–" }
  return lastPathComponent(first) + (files.count > 1 ? " +\(files.count - 1)" : "")
}

/// 2026-01-31 12:00, where the user is.
private func localTime(_ secondsSince1970: Int) -> String {
  var (time, fields) = (time_t(secondsSince1970), tm())
  localtime_r(&time, &fields)
  func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
  return "\(fields.tm_year + 1900)-\(two(fields.tm_mon + 1))-\(two(fields.tm_mday)) \(two(fields.tm_hour)):"
    + two(fields.tm_min)
}
