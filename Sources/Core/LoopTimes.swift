/// What one parallel loop took, as it was timed.
public struct TimedLoop: Sendable {
  /// Threads that it was cut for.
  public var threads: Int
  public var cut: LoopCut
  /// Seconds that each piece computed, in the order in which they are taken.
  public var pieces: [Double]
  /// Of them, what is done once a piece however little its share is.
  public var setupSeconds: Double

  public init(threads: Int, cut: LoopCut, pieces: [Double], setupSeconds: Double = 0) {
    self.threads = threads
    self.cut = cut
    self.pieces = pieces
    self.setupSeconds = setupSeconds
  }

  /// Seconds until the loop's work would be done with so many threads on as many cores, without what it takes to start and
  /// end it.
  public func seconds(threads: Int) -> Double {
    if cut.isSerial { return pieces.reduce(0, +) }
    guard let cutPieces = cut.pieces, threads != self.threads else { return makespan(pieces, workers: threads) }
    let timed = cutPieces(self.threads)
    let (setups, shares) = timed.reduce(into: (0.0, 0.0)) { $0 = ($0.0 + $1.setups, $0.1 + $1.share) }
    let setup = setups > 0 ? setupSeconds / setups : 0
    let work = max(0, pieces.reduce(0, +) - setup * setups) / max(shares, .leastNormalMagnitude)
    return makespan(cutPieces(threads).map { $0.share * work + $0.setups * setup }, workers: threads)
  }

  /// Whether it would be started on more than one thread.
  public func isShared(threads: Int) -> Bool {
    if cut.isSerial || threads == 1 { return false }
    return (cut.pieces.map { $0(threads).count } ?? pieces.count) > 1
  }
}

/// Sums over loops that belong together.
public struct LoopTimes: Sendable, Equatable {
  public var loops = 0
  /// Of them, those that one thread did alone: a single piece, too little work, or threads that were taken.
  public var serialLoops = 0
  /// As their caller saw it, and what of it was alone.
  public var seconds = 0.0
  public var serialSeconds = 0.0
  /// Of all threads, and of each loop's longest piece.
  public var busySeconds = 0.0
  public var longestSeconds = 0.0
  /// What they would take with each of `LoopRecorder.threads`, and how many of them would be started on several threads.
  public var predictedSeconds = [Double](repeating: 0, count: LoopRecorder.threads.count)
  public var sharedLoops = [Int](repeating: 0, count: LoopRecorder.threads.count)

  public init() {}

  /// Adds one that took `seconds`; `isAlone`: one thread did it.
  mutating func add(_ loop: TimedLoop, seconds: Double, isAlone: Bool) {
    loops += 1
    self.seconds += seconds
    if isAlone {
      serialLoops += 1
      serialSeconds += seconds
    }
    busySeconds += loop.pieces.reduce(0, +)
    longestSeconds += loop.pieces.max() ?? 0
    for (place, threads) in LoopRecorder.threads.enumerated() {
      predictedSeconds[place] += loop.seconds(threads: threads)
      sharedLoops[place] += loop.isShared(threads: threads) ? 1 : 0
    }
  }

  public static func += (left: inout LoopTimes, right: LoopTimes) {
    left.loops += right.loops
    left.serialLoops += right.serialLoops
    left.seconds += right.seconds
    left.serialSeconds += right.serialSeconds
    left.busySeconds += right.busySeconds
    left.longestSeconds += right.longestSeconds
    for place in LoopRecorder.threads.indices {
      left.predictedSeconds[place] += right.predictedSeconds[place]
      left.sharedLoops[place] += right.sharedLoops[place]
    }
  }
}
