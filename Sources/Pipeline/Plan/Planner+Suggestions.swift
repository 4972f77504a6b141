import Core
import Training

/// What would make a training fit.
extension Planner {
  /// A change of a run that takes less memory.
  private struct Change {
    var flags: String
    var apply: (inout Run) -> Void
  }

  private static let shortestLength = 128

  /// Single changes that are enough each; where none is, as few of them together as are, in the order in which they cost least.
  /// Empty where nothing helps.
  func suggestions(_ run: Run) throws -> [TrainingPlan.Suggestion] {
    let changes = changes(run)
    let single = try (halfway(run) + changes).compactMap { try suggestion(run, [$0]) }
    if !single.isEmpty { return single }
    var taken: [Change] = []
    for change in changes.filter({ !isBatch($0) }) {
      taken.append(change)
      if taken.count > 1, let found = try suggestion(run, taken) { return [found] }
    }
    for batch in changes.filter(isBatch) {
      if let found = try suggestion(run, taken + [batch]) { return [found] }
    }
    // A new model's windows are as long as its context.
    if checkpoint == nil { return [] }
    let smallest = changes.filter(isBatch).suffix(1)
    var length = run.maxLength / 2
    while length >= Self.shortestLength {
      let cut = Change(flags: "prepared with \(OptionName.maxLength) \(length)") { $0.length = length }
      if let found = try suggestion(run, taken + smallest + [cut]) { return [found] }
      length /= 2
    }
    return []
  }

  private func isBatch(_ change: Change) -> Bool {
    [OptionName.batchSize, .batchTokens].contains { change.flags.hasPrefix("\($0) ") }
  }

  /// nil where it does not fit.
  private func suggestion(
    _ run: Run, _ changes: [Change]
  ) throws -> TrainingPlan.Suggestion? {
    var changed = run
    for change in changes { change.apply(&changed) }
    let plan = try plan(changed)
    guard plan.fits else { return nil }
    return TrainingPlan.Suggestion(
      flags: changes.map(\.flags).joined(separator: " "), peakMemoryBytes: plan.peakMemoryBytes,
      secondsPerUpdate: plan.secondsPerUpdate)
  }

  /// Computing half of the layers again.
  private func halfway(_ run: Run) -> [Change] {
    let half = outline.configuration.layers / 2
    if half == 0 || run.settings.recomputedBlocks(of: outline.configuration.layers) > 0 { return [] }
    return [Change(flags: "\(OptionName.checkpointLayers) \(half)") { $0.settings.checkpointedLayers = half }]
  }

  private func changes(_ run: Run) -> [Change] {
    let settings = run.settings
    var changes: [Change] = []
    if !settings.gradientCheckpointing {
      changes.append(
        Change(flags: OptionName.gradientCheckpointing.description) {
          ($0.settings.gradientCheckpointing, $0.settings.checkpointedLayers) = (true, nil)
        })
    }
    if settings.lora != nil, run.quantization == nil, (checkpoint?.quantizedNames ?? []).isEmpty {
      changes.append(Change(flags: OptionName.qlora.description) { $0.quantization = QuantizationOptions() })
    }
    if settings.optimizer == .adamw, settings.lora == nil {
      changes.append(Change(flags: "\(OptionName.optimizer) adamw8bit") { $0.settings.optimizer = .adamw8bit })
    }
    var (size, accumulation) = (settings.batchTokens ?? settings.batchSize, settings.gradientAccumulation)
    let (flag, least): (OptionName, Int) =
      settings.batchTokens == nil ? (.batchSize, 1) : (.batchTokens, Self.shortestLength)
    while size / 2 >= least {
      (size, accumulation) = (size / 2, accumulation * 2)
      let (size, accumulation) = (size, accumulation)
      changes.append(
        Change(flags: "\(flag) \(size) \(OptionName.gradAccum) \(accumulation)") { run in
          if run.settings.batchTokens == nil { run.settings.batchSize = size } else { run.settings.batchTokens = size }
          run.settings.gradientAccumulation = accumulation
        })
    }
    return changes
  }
}
