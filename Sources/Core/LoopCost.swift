import Glibc
import Synchronization

/// What starting and ending a parallel loop takes on this machine, measured.
public struct LoopCost: Sendable, Codable, Equatable {
  /// Threads, and seconds of a loop without work that is cut for so many, of which no more come than there are cores.
  public struct Empty: Sendable, Codable, Equatable {
    public var threads: Int
    public var seconds: Double
  }

  public var empty: [Empty]
  /// The same with every thread let in, be there cores for them or not.
  public var oversubscribed: [Empty]
  /// Of a loop of two pieces that begin together, on threads that are awake: nothing is hidden behind work. On a machine with
  /// one core, an empty loop's.
  public var pairSeconds: Double
  /// What that takes more where the other thread is asleep.
  public var wakeSeconds: Double
  /// Of an addition to memory that two threads add to all the time: what each thread more adds to a loop is three of them.
  public var contendedSeconds: Double

  /// Of a loop that so many threads take part in: to the pair's each thread more adds its turn at coming, at finding no
  /// piece left, and at going.
  public func seconds(threads: Int) -> Double {
    threads < 2 ? 0 : pairSeconds + 3 * contendedSeconds * Double(threads - 2)
  }

  public init(
    empty: [Empty], oversubscribed: [Empty], pairSeconds: Double, wakeSeconds: Double, contendedSeconds: Double
  ) {
    self.empty = empty
    self.oversubscribed = oversubscribed
    self.pairSeconds = pairSeconds
    self.wakeSeconds = wakeSeconds
    self.contendedSeconds = contendedSeconds
  }

  /// In some tens of milliseconds; nothing else may run loops at that time. `cores` is how many threads may be at work.
  public static func measure(cores: Int) -> LoopCost {
    let counts = [1, 2, 4, 8]
    func measured() -> [Empty] { counts.map { Empty(threads: $0, seconds: emptyLoop($0)) } }
    let empty = measured()
    limitThreadsAtWork(to: counts.max() ?? 1)
    let oversubscribed = measured()
    limitThreadsAtWork(to: cores)
    let pair = cores > 1 ? least(of: 400, pairLoop) : empty[1].seconds
    let asleep = cores > 1 ? least(of: 40, afterPause) : pair
    return LoopCost(
      empty: empty, oversubscribed: oversubscribed, pairSeconds: pair, wakeSeconds: max(0, asleep - pair),
      contendedSeconds: cores > 1 ? contendedAddition() : 0)
  }

  private static func afterPause() -> Double {
    usleep(2000)
    return pairLoop()
  }

  private static func emptyLoop(_ threads: Int) -> Double {
    let some = 200
    return least(of: 10) {
      let start = wallSeconds()
      for _ in 0..<some { parallelFor(threads, threads: threads) { _ in } }
      return (wallSeconds() - start) / Double(some)
    }
  }

  /// The least: what it takes where every thread gets a core.
  private static func least(of count: Int, _ body: () -> Double) -> Double {
    (0..<count).map { _ in body() }.min() ?? 0
  }

  /// Two pieces, each of which waits for the other to begin.
  private static func pairLoop() -> Double {
    let begun = Atomic<Int>(0)
    let start = wallSeconds()
    parallelFor(2, threads: 2) { _ in
      begun.add(1, ordering: .acquiringAndReleasing)
      // Where the other thread gets no core, it is this one that does both.
      while begun.load(ordering: .acquiring) < 2, wallSeconds() - start < 1e-3 {}
    }
    return wallSeconds() - start
  }

  /// The median of times at which both threads were there from the beginning to the end.
  private static func contendedAddition() -> Double {
    let some = 2000
    var seconds: [Double] = []
    for _ in 0..<400 where seconds.count < 15 {
      let counter = Atomic<Int>(0)
      let begun = Atomic<Int>(0)
      let ended = Atomic<Int>(0)
      let overlaps = Atomic<Int>(0)
      let picoseconds = Atomic<Int>(0)
      let start = wallSeconds()
      parallelFor(2, threads: 2) { _ in
        begun.add(1, ordering: .acquiringAndReleasing)
        while begun.load(ordering: .acquiring) < 2, wallSeconds() - start < 1e-3 {}
        if begun.load(ordering: .acquiring) == 2, ended.load(ordering: .acquiring) == 0 {
          overlaps.add(1, ordering: .relaxed)
        }
        let began = wallSeconds()
        for _ in 0..<some { counter.add(1, ordering: .relaxed) }
        picoseconds.max(Int((wallSeconds() - began) * 1e12), ordering: .relaxed)
        ended.add(1, ordering: .releasing)
      }
      if overlaps.load(ordering: .acquiring) == 2 {
        seconds.append(Double(picoseconds.load(ordering: .acquiring)) * 1e-12 / Double(2 * some))
      }
    }
    return seconds.isEmpty ? usualAddition : seconds.sorted()[seconds.count / 2]
  }

  /// Where two threads never ran at a time: what servers take, about.
  private static let usualAddition = 1e-7
}
