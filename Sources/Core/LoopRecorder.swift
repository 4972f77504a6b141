import Glibc
import Synchronization

/// Times the parallel loops that one thread starts, for a model of how they would go on other numbers of cores.
///
/// While no recorder is on, a loop costs one load more. While one is, each piece is timed by its thread's own clock of CPU time,
/// so that what else runs on the machine does not count; loops inside others and of other threads are not recorded.
public final class LoopRecorder: @unchecked Sendable {
  /// Loops with the same label and about as many pieces.
  public struct Key: Hashable, Sendable {
    /// The owner's.
    public var label: Int
    /// Of a loop; from 64 on rounded down to a power of two.
    public var pieces: Int
  }

  /// What predictions are made for.
  public static let threads = [1, 2, 4, 8, 16, 32, 64]

  private static let isOn = Atomic<Bool>(false)
  private nonisolated(unsafe) static var active: LoopRecorder?

  /// What loops are counted under.
  public var label = -1
  public private(set) var times: [Key: LoopTimes] = [:]
  /// Loops that found the threads asleep.
  public private(set) var wakes = 0
  /// Wall time that recording itself took.
  public private(set) var overhead = 0.0
  /// CPU time of this thread in the loops, and in recording them.
  public private(set) var inside = 0.0

  private let owner = pthread_self()
  /// What reading a thread's clock takes.
  public let clockSeconds = LoopRecorder.secondsOfClock()
  private var isInLoop = false
  /// One a thread, a cache line apart.
  private var setups: UnsafeMutablePointer<Double>
  private var setupCount = 1
  private static let line = 16

  /// Of loops that this thread starts; off.
  public init() {
    setups = .allocate(capacity: Self.line)
    setups.update(repeating: 0, count: Self.line)
  }

  deinit { setups.deallocate() }

  /// Records from now on, in the place of any other recorder, or ceases to.
  public func start() {
    Self.active = self
    Self.isOn.store(true, ordering: .releasing)
  }

  public func stop() {
    guard Self.active === self else { return }
    Self.isOn.store(false, ordering: .releasing)
    Self.active = nil
  }

  /// Forgets what was recorded.
  public func clear() { (times, wakes, overhead) = ([:], 0, 0) }

  /// What records the loops of this thread; nil for none, and inside a loop.
  static var ofThisThread: LoopRecorder? {
    guard isOn.load(ordering: .relaxed), let active, pthread_equal(active.owner, pthread_self()) != 0 else {
      return nil
    }
    return active.isInLoop ? nil : active
  }

  /// Whether pieces are to say what their setups take.
  public static var recordsSetups: Bool { isOn.load(ordering: .relaxed) }

  /// Counts seconds of a piece's setups, for the loop that is recorded; from within its body, with its worker's number.
  public static func addSetup(_ seconds: Double, worker: Int) {
    guard let active, active.isInLoop, worker < active.setupCount else { return }
    active.setups[worker * line] += seconds
  }

  func run(_ count: Int, threads: Int, _ cut: LoopCut, _ body: @Sendable (Int, Int) -> Void) {
    guard count > 0 else { return }
    isInLoop = true
    let entered = threadSeconds()
    defer {
      isInLoop = false
      inside += threadSeconds() - entered
    }
    prepareSetups(threads)
    if WorkerPool.shared.someSleep, min(count, threads) > 1 { wakes += 1 }
    let pieces = [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
      nonisolated(unsafe) let seconds = buffer
      let began = wallSeconds()
      let isShared = runLoop(count, threads: threads) { index, worker in
        let start = threadSeconds()
        body(index, worker)
        seconds.initializeElement(at: index, to: threadSeconds() - start)
      }
      initialized = count
      let clocks = 2 * clockSeconds * Double(isShared ? (count + 1) / 2 : count)
      loopSeconds = max(0, wallSeconds() - began - clocks)
      wasAlone = !isShared
      overhead += clocks
    }
    let ended = wallSeconds()
    let all = (0..<setupCount).reduce(0) { $0 + setups[$1 * Self.line] }
    let loop = TimedLoop(
      threads: threads, cut: cut, pieces: pieces.map { max(0, $0 - clockSeconds) }, setupSeconds: all)
    let rounded = count < 64 ? count : 1 << (Int.bitWidth - 1 - count.leadingZeroBitCount)
    times[Key(label: label, pieces: rounded), default: LoopTimes()].add(
      loop, seconds: loopSeconds, isAlone: wasAlone)
    overhead += wallSeconds() - ended
  }

  private var loopSeconds = 0.0
  private var wasAlone = false

  private func prepareSetups(_ threads: Int) {
    if threads > setupCount {
      setups.deallocate()
      setups = .allocate(capacity: threads * Self.line)
      setupCount = threads
    }
    setups.update(repeating: 0, count: setupCount * Self.line)
  }

  /// What reading a thread's clock takes.
  private static func secondsOfClock() -> Double {
    let some = 100
    let best = (0..<10).map { _ in
      let start = threadSeconds()
      for _ in 0..<some { _ = threadSeconds() }
      return threadSeconds() - start
    }.min()
    return (best ?? 0) / Double(some)
  }
}

/// Seconds of a clock that never goes back.
package func wallSeconds() -> Double { seconds(CLOCK_MONOTONIC) }

/// Seconds that this thread has computed.
package func threadSeconds() -> Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

private func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
