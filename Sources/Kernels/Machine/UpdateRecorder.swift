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
  /// CPU time that went into recording operations.
  private var bookkeeping = 0.0
  /// What it took up to its optimiser's end.
  private var computed = (seconds: 0.0, serial: 0.0)

  init() {}

  /// The operation that loops are counted under; nil for none.
  public static func operation(_ key: LoopRecorder.Key) -> ProfiledOperation? {
    ProfiledOperation.allCases.indices.contains(key.label) ? ProfiledOperation.allCases[key.label] : nil
  }

  /// `entered`: this thread's CPU time when the operation was announced. What is done here is no part of the update.
  func begin(_ operation: ProfiledOperation, entered: Double) {
    if operation == .batches {
      if begun > 0 { close(elapsed(at: entered)) }
      if begun == 1 { clear() }
      begun += 1
      (start, excluded, overheadBefore) = (wallSeconds(), 0, loops.overhead)
      (serialStart, excludedSerial) = (serial(at: entered), 0)
      loops.start()
    }
    if operation.isOutsideUpdates { loops.stop() }
    loops.label = Self.labels[operation] ?? -1
    let now = threadSeconds()
    bookkeeping += now - entered + loops.clockSeconds
    operationStart = serial(at: now)
  }

  /// `entered`: this thread's CPU time when the operation was done.
  func end(_ operation: ProfiledOperation, seconds: Double, entered: Double) {
    defer { bookkeeping += threadSeconds() - entered + loops.clockSeconds }
    loops.label = -1
    if begun == 0 { return }
    if operation.isOutsideUpdates {
      excluded += seconds
      excludedSerial += serial(at: entered) - operationStart
      loops.start()
    } else {
      operations[operation, default: 0] += max(0, serial(at: entered) - operationStart)
    }
    if operation == .optimizer { computed = elapsed(at: entered) }
  }

  private static let labels = Dictionary(
    uniqueKeysWithValues: ProfiledOperation.allCases.enumerated().map { ($1, $0) })

  /// Records no more.
  public func finish() {
    loops.stop()
    if begun > 0 { close(computed) }
    begun = 0
  }

  /// CPU time of this thread outside of recorded loops and of this recorder, when it has computed so long.
  private func serial(at cpu: Double) -> Double { cpu - loops.inside - bookkeeping }

  /// Seconds of the update on its way.
  private func elapsed(at cpu: Double) -> (seconds: Double, serial: Double) {
    (
      wallSeconds() - start - excluded - (loops.overhead - overheadBefore),
      serial(at: cpu) - serialStart - excludedSerial
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
