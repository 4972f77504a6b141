import FoundationEssentials

/// How far something is that goes through the bytes of a model.
public struct WorkProgress: Sendable, Equatable {
  /// What is done, such as "quantising".
  public var name: String
  /// Bytes that are done in this process, and all that there are to do in it.
  public var done: Int
  public var total: Int
  /// Since it began.
  public var seconds: Double

  public init(_ name: String, done: Int, of total: Int, seconds: Double) {
    (self.name, self.done, self.total, self.seconds) = (name, done, total, seconds)
  }

  /// Bytes a second.
  public var rate: Double { Double(done) / max(seconds, 1e-9) }
  /// Seconds that it still takes.
  public var left: Double { done > 0 ? Double(total - done) / rate : .infinity }
}

/// Reports something on its way, from its start on.
struct WorkMeter {
  let name: String
  let total: Int
  let report: (WorkProgress) throws -> Void
  private let start = ContinuousClock.now

  init(_ name: String, total: Int, _ report: @escaping (WorkProgress) throws -> Void) {
    (self.name, self.total, self.report) = (name, total, report)
  }

  func callAsFunction(_ done: Int) throws {
    try report(WorkProgress(name, done: done, of: total, seconds: (ContinuousClock.now - start) / .seconds(1)))
  }
}
