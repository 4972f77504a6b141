import Core

/// What the parts of a run cost, in rows of a batch that go through all blocks of the model once.
///
/// It is worked out, not measured: what a run computes must not hang on how busy a machine was.
public struct ValidationCost: Sendable, Equatable {
  /// Of an update, on average.
  public var update: Double
  /// Of a validation record, on average.
  public var record: Double
  /// Of the prompt of the sample answer.
  public var prompt: Double
  /// Of each token of the sample answer.
  public var answerToken: Double

  public init(update: Double, record: Double, prompt: Double, answerToken: Double) {
    (self.update, self.record, self.prompt, self.answerToken) = (update, record, prompt, answerToken)
  }

  /// Cost of a sample answer of `tokens` tokens; 0 for none.
  public func sample(_ tokens: Int) -> Double { tokens > 0 ? prompt + Double(tokens) * answerToken : 0 }

  /// Cost of a validation on `records` records with a sample answer of `sampleTokens` tokens, in updates.
  public func validation(records: Int, sampleTokens: Int) -> Double {
    (Double(records) * record + sample(sampleTokens)) / max(update, .leastNormalMagnitude)
  }
}

extension TrainingSettings {
  /// Share of the updates' time that validations take, where nobody says how often they are to be.
  public static let validationShare = 0.1
  /// Tokens of a sample answer, at most.
  public static let standardSampleTokens = 64
  /// Fewer tokens show nothing.
  private static let fewestSampleTokens = 8
  /// Of one validation.
  private static let sampleShare = 0.25
  private static let mostValidations = 5

  /// Tokens of the sample answer after each validation; 0 for none.
  public var sampleLimit: Int { sampleTokens ?? Self.standardSampleTokens }

  /// Validations of the whole run, the one after the last update among them.
  public var validations: Int { evalEvery > 0 ? (steps + evalEvery - 1) / evalEvery : 0 }

  /// Decides how often a run is validated, on how many of `count` records and with how long a sample, so that all of it takes
  /// a tenth of the updates' time at most: five times on all records; less often where that is too dear; and where even once
  /// is, at the end on as many records as may be, one at least.
  public mutating func planValidation(_ cost: ValidationCost, of count: Int) {
    let budget = Double(steps) * cost.update * Self.validationShare
    for times in stride(from: Self.mostValidations, through: 1, by: -1) {
      evalEvery = max(1, (steps + times - 1) / times)
      let each = budget / Double(validations)
      let tokens = Self.sampleTokens(within: each * Self.sampleShare, cost)
      sampleTokens = tokens
      if Double(count) * cost.record + cost.sample(tokens) <= each {
        validationRecords = nil
        return
      }
    }
    let left = budget - cost.sample(sampleLimit)
    validationRecords = max(1, min(count, Int(left / max(cost.record, .leastNormalMagnitude))))
  }

  private static func sampleTokens(within limit: Double, _ cost: ValidationCost) -> Int {
    let most = (limit - cost.prompt) / max(cost.answerToken, .leastNormalMagnitude)
    return most < Double(fewestSampleTokens) ? 0 : Int(min(most, Double(standardSampleTokens)))
  }

  /// Numbers of the records that each validation is over, of `count`: all, or a random choice that the seed decides, in
  /// order.
  public func validationIndices(of count: Int) -> [Int] {
    guard let validationRecords, validationRecords < count else { return Array(0..<count) }
    var generator = SeededGenerator(seed: seed, stream: 0x7661_6c69)
    return generator.permutation(count).prefix(validationRecords).sorted()
  }
}
