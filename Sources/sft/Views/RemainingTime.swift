import Pipeline

/// How long a run still takes: what is left of its updates, and of its validations.
struct RemainingTime {
  private let steps: Int
  private let evalEvery: Int
  /// What a validation takes, in updates; until one was measured.
  private let forecast: Double
  private var update: Double?
  private var validations: (seconds: Double, count: Int) = (0, 0)

  /// `forecast` is a validation's cost in updates; nil without validation.
  init(steps: Int, evalEvery: Int, forecast: ValidationForecast?) {
    (self.steps, self.evalEvery) = (steps, evalEvery)
    self.forecast = forecast?.updates ?? 0
  }

  mutating func addUpdate(_ seconds: Double) { update = update.map { 0.9 * $0 + 0.1 * seconds } ?? seconds }

  mutating func addValidation(_ seconds: Double) {
    validations.seconds += seconds
    validations.count += 1
  }

  /// After update `step`, of whose validation, where it has one, a share is done.
  func seconds(after step: Int, validated share: Double = 0) -> Double {
    let update = update ?? 0
    let validation =
      validations.count > 0 ? validations.seconds / Double(validations.count) : forecast * update
    // Those after updates before this one are over; the last update has one whatever its number.
    let left = evalEvery > 0 ? (steps + evalEvery - 1) / evalEvery - (step - 1) / evalEvery : 0
    return update * Double(steps - step) + validation * (Double(left) - share)
  }
}
