/// What a trainer asks of those who know about data and text.
public struct TrainingHooks {
  /// Token means over the validation records; nil without validation.
  public var validate: (() throws -> (loss: Double, accuracy: Double))?
  /// A sample answer.
  public var sample: (() throws -> (prompt: String, text: String))?
  /// Where a record came from, as FILE:LINE.
  public var describeRecord: (Int) -> String
  /// Called after each metric is written. What it throws ends the training.
  public var report: (Metric) throws -> Void
  /// A remark for the user.
  public var notice: (String) -> Void
  /// Throws where the files of the model that is trained upon hold values that are not finite; asked where a loss is not.
  public var checkModel: () throws -> Void
  /// Called with the update whose loss or gradient is not finite, or the loss of the validation after it, before that is
  /// thrown.
  public var diverged: (Int) -> Void
  /// Called after a validation with the wall time that it took, sample and best weights included.
  public var validated: (_ seconds: Double) -> Void
  /// Asked after each update.
  public var shouldStop: () -> Bool

  public init(
    validate: (() throws -> (loss: Double, accuracy: Double))? = nil,
    sample: (() throws -> (prompt: String, text: String))? = nil, describeRecord: @escaping (Int) -> String,
    report: @escaping (Metric) throws -> Void = { _ in }, notice: @escaping (String) -> Void = { _ in },
    checkModel: @escaping () throws -> Void = {}, diverged: @escaping (Int) -> Void = { _ in },
    validated: @escaping (_ seconds: Double) -> Void = { _ in }, shouldStop: @escaping () -> Bool = { false }
  ) {
    self.validate = validate
    self.sample = sample
    self.describeRecord = describeRecord
    self.report = report
    self.notice = notice
    self.checkModel = checkModel
    self.diverged = diverged
    self.validated = validated
    self.shouldStop = shouldStop
  }
}
