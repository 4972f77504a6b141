/// One piece of a parallel loop's work.
public struct LoopPiece: Sendable, Equatable {
  /// Of all the work that pieces share out.
  public var share: Double
  /// How often it does what a piece does however little its share is, such as laying out a panel of weights.
  public var setups: Double

  public init(share: Double, setups: Double = 0) { (self.share, self.setups) = (share, setups) }
}

/// What a parallel loop's work is cut into, which may depend on the number of threads: so that a loop that was timed with some
/// of them says what it would take with others.
public struct LoopCut: Sendable {
  /// In the order in which they are taken; nil where the pieces are always those that were timed.
  let pieces: (@Sendable (_ threads: Int) -> [LoopPiece])?
  /// Whether one thread does all of it, however many there are.
  let isSerial: Bool

  private init(isSerial: Bool) { (pieces, self.isSerial) = (nil, isSerial) }

  /// `pieces` of the work with so many threads.
  public init(_ pieces: @escaping @Sendable (_ threads: Int) -> [LoopPiece]) {
    (self.pieces, isSerial) = (pieces, false)
  }

  /// The same pieces with any number of threads.
  public static let fixed = LoopCut(isSerial: false)
  /// One thread's, as more are not worth waking.
  public static let serial = LoopCut(isSerial: true)

  /// `count` elements in ranges of at least `grain`, cut by `rangeSize`.
  public static func ranges(_ count: Int, grain: Int) -> LoopCut {
    LoopCut { threads in
      let size = rangeSize(count, grain: grain, threads: threads)
      return stride(from: 0, to: count, by: size).map {
        LoopPiece(share: Double(min(size, count - $0)) / Double(count))
      }
    }
  }

  /// Elements of each range but perhaps the last: 1 at least. There are as many ranges as threads, or fewer where they would be
  /// shorter than the grain. Of more than two threads one is always late: they get three ranges each where that is enough work,
  /// so that the others take of what it would have done.
  public static func rangeSize(_ count: Int, grain: Int, threads: Int) -> Int {
    let most = count / max(1, grain)
    let pieces = threads > 2 && most >= 3 * threads ? 3 * threads : max(1, min(threads, most))
    return max(1, (count + pieces - 1) / pieces)
  }
}

/// Seconds until all pieces are done, where each of `workers` takes the next one as soon as it is free.
public func makespan(_ pieces: [Double], workers: Int) -> Double {
  guard workers > 1 else { return pieces.reduce(0, +) }
  if pieces.count <= workers { return pieces.max() ?? 0 }
  // When each worker is free; a heap with the earliest in front.
  var free = [Double](repeating: 0, count: workers)
  for seconds in pieces {
    let time = free[0] + seconds
    var place = 0
    while true {
      let left = 2 * place + 1
      guard left < workers else { break }
      let child = left + 1 < workers && free[left + 1] < free[left] ? left + 1 : left
      guard free[child] < time else { break }
      free[place] = free[child]
      place = child
    }
    free[place] = time
  }
  return free.max() ?? 0
}
