import Core
import Evaluating
import Models
import Training

/// What the validations of a run will be, for the one who shows it.
public struct ValidationForecast: Sendable, Equatable {
  /// Validation records that there are, and those that each validation is over.
  public var records: Int
  public var used: Int
  /// Validations of the whole run.
  public var times: Int
  /// Time of one validation, sample answer included, in updates: worked out, not measured.
  public var updates: Double
  /// Time of all validations, as a share of that of all updates.
  public var share: Double

  init(_ settings: TrainingSettings, _ cost: ValidationCost, records: Int) {
    self.records = records
    used = min(records, settings.validationRecords ?? records)
    times = settings.validations
    updates = cost.validation(records: used, sampleTokens: settings.sampleLimit)
    share = updates * Double(times) / Double(max(1, settings.steps))
  }
}

extension TrainingSettings {
  /// Tokens of validation records that are taken at once.
  var validationBudget: Int { validationTokens ?? standardTokenBudget }
}

extension TrainingData {
  /// Validation records that stand for all.
  private static let examples = 256

  /// What updates and validations cost with these settings.
  func cost(_ settings: TrainingSettings, _ decoder: Decoder, lowestLayer: Int) throws -> ValidationCost {
    let used = min(validationCount, Self.examples)
    var records = 0.0
    let plain = settings.engine == .plain
    try overBatches(
      used, tokenBudget: plain ? 0 : settings.validationBudget, sharesPrefixes: !plain, for: decoder,
      // From all over the data, which may be sorted.
      samples: { validationSample($0 * validationCount / used) }
    ) { batch, _ in records += ValidationCost.forward(batch, decoder) }
    return ValidationCost(
      update: ValidationCost.update(
        settings, decoder, lowestLayer: lowestLayer, count: count, samples: sample),
      record: records / Double(max(1, used)), prompt: Double(samplePrompt.count),
      answerToken: ValidationCost.generatedToken(decoder))
  }
}

extension TrainOptions {
  /// Keeps validations within their share of the time, where the user has not said how often they are to be.
  func planValidation(
    _ settings: inout TrainingSettings, _ data: TrainingData, _ decoder: Decoder, lowestLayer: Int
  ) throws {
    guard evalEvery == nil, earlyStopping == nil, data.validationCount > 0 else { return }
    settings.planValidation(try data.cost(settings, decoder, lowestLayer: lowestLayer), of: data.validationCount)
  }
}
