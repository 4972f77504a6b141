import Core

/// Records what the updates of a training consist of: parallel loops, and what is between them.
///
/// An update begins with waiting for its batches and ends where the next one begins, or with the last one's optimiser;
/// validations and saving are no part of it. The first one, in which memory is asked for, counts only where there is no other.
public final class UpdateRecorder {
  /// How many updates count, and what they took, without what recording took.
  public private(set) var count = 0
  public private(set) var seconds = 0.0
  /// CPU time of the thread that trains, outside of loops.
  public private(set) var serialSeconds = 0.0
  /// What of that operations took.
  public private(set) var operations: [ProfiledOperation: Double] = [:]
  public let loops = LoopRecorder()

  /// Updates that were begun.
  private var begun = 0
  /// Serial seconds when the operation on its way began, and when the update did.
  private var operationStart = 0.0
  private var serialStart = 0.0
  /// Of the update on its way: when it began, and what is no part of it since.
  private var start = 0.0
  private var excluded = 0.0
  private var overheadBefore = 0.0
  private var excludedSerial = 0.0
  /// What it took up to its optimiser's end.
  private var computed = (seconds: 0.0, serial: 0.0)

  init() {}

  /// The operation that loops are counted under; nil for none.
  public static func operation(_ key: LoopRecorder.Key) -> ProfiledOperation? {
    ProfiledOperation.allCases.indices.contains(key.label) ? ProfiledOperation.allCases[key.label] : nil
  }

  func begin(_ operation: ProfiledOperation) {
    if operation == .batches {
      if begun > 0 { close(elapsed) }
      if begun == 1 { clear() }
      begun += 1
      (start, excluded, overheadBefore) = (wallSeconds(), 0, loops.overhead)
      (serialStart, excludedSerial) = (serial, 0)
      loops.start()
    }
    if operation.isOutsideUpdates { loops.stop() }
    loops.label = ProfiledOperation.allCases.firstIndex(of: operation) ?? -1
    operationStart = serial
  }

  func end(_ operation: ProfiledOperation, seconds: Double) {
    loops.label = -1
    if begun == 0 { return }
    if operation.isOutsideUpdates {
      excluded += seconds
      excludedSerial += serial - operationStart
      loops.start()
    } else {
      operations[operation, default: 0] += max(0, serial - operationStart)
    }
    if operation == .optimizer { computed = elapsed }
  }

  /// Records no more.
  public func finish() {
    loops.stop()
    if begun > 0 { close(computed) }
    begun = 0
  }

  /// CPU time of this thread outside of recorded loops, ever.
  private var serial: Double { threadSeconds() - loops.inside }

  /// Seconds of the update on its way.
  private var elapsed: (seconds: Double, serial: Double) {
    (
      wallSeconds() - start - excluded - (loops.overhead - overheadBefore), serial - serialStart - excludedSerial
    )
  }

  private func close(_ elapsed: (seconds: Double, serial: Double)) {
    seconds += max(0, elapsed.seconds)
    serialSeconds += max(0, elapsed.serial)
    count += 1
  }

  private func clear() {
    (count, seconds, serialSeconds, operations) = (0, 0, 0, [:])
    loops.clear()
  }
}

extension ProfiledOperation {
  /// What comes between updates, or before them.
  fileprivate var isOutsideUpdates: Bool { self == .validation || self == .saving || self == .trunk }
}
