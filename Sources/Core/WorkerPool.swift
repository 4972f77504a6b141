import Glibc
import Synchronization

/// Threads that wait for the next parallel loop: awake for some microseconds, because the next one is usually near, then
/// asleep.
///
/// One loop at a time: a loop that finds the pool taken, or is started inside another, is its caller's alone. A thread that
/// has not come by the time the work is done is not waited for: on a busy machine it may not run for milliseconds.
final class WorkerPool: Sendable {
  static let shared = WorkerPool()

  /// Times that a thread looks for work before it gives way to others, which costs more than what it often waits for.
  private static let looks = 500
  /// Times that it gives way before it goes to sleep: after some 200 µs in all, as waking it takes tens of them.
  private static let patience = 300

  /// As many as the state has room to count.
  static let mostThreads = 255

  /// Threads that may take part in a loop, whatever it asks for: no more than there are cores for. What would be the others'
  /// is taken by those, so that nobody waits for a thread that has no core.
  static let mostAtWork = Atomic<Int>(mostThreads)

  /// What the threads look at: the loop's number, how many may take part, and how many are at it.
  ///
  /// It is only added to and subtracted from, once by whoever comes and once by whoever goes: where many come at a time, each
  /// has it for itself once, and nobody tries again.
  private struct State: Equatable {
    var word: UInt
    /// Threads at work or about to see that they come too late, the caller not counted.
    var active: UInt { word & 0xff }
    /// Threads that may take part, the caller included; 0 once the loop is closed.
    var limit: UInt { word >> 8 & 0xff }
    var number: UInt { word >> 16 }

    init(word: UInt) { self.word = word }

    static func limit(_ limit: UInt) -> UInt { limit << 8 }
    static let nextNumber: UInt = 1 << 16
  }

  private let taken = Atomic<Bool>(false)
  private let state = Atomic<UInt>(0)
  private let sleepers = Atomic<Int>(0)
  // Changed by the owner alone while nobody is at work.
  private nonisolated(unsafe) var body: (@Sendable (Int) -> Void)?
  private nonisolated(unsafe) var threads = 1
  private nonisolated(unsafe) let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private nonisolated(unsafe) let condition: UnsafeMutablePointer<pthread_cond_t>

  /// Whether waking some takes a call of the system.
  var someSleep: Bool { sleepers.load(ordering: .relaxed) > 0 }

  private init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  /// Runs `body(0)` on the caller's thread and, as threads come, `body(1) … body(count - 1)` on theirs: whoever comes takes
  /// a share of the work, and the caller all that is left. False, with nothing done, where the pool is taken.
  ///
  /// Ends the process where the threads cannot be had: going on with fewer would be slower by a factor, and unseen.
  func run(_ count: Int, _ body: @Sendable (Int) -> Void) -> Bool {
    let count = min(count, Self.mostAtWork.load(ordering: .relaxed))
    guard count > 1, !taken.exchange(true, ordering: .acquiring) else { return false }
    defer { taken.store(false, ordering: .releasing) }
    while threads < count {
      start(threads)
      threads += 1
    }
    withoutActuallyEscaping(body) { body in
      self.body = body
      state.wrappingAdd(State.nextNumber &+ State.limit(UInt(count)), ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
      }
      body(0)
      close(UInt(count))
      self.body = nil
    }
    return true
  }

  /// Lets nobody in any more, and waits for those who are at work.
  private func close(_ limit: UInt) {
    if State(word: state.wrappingSubtract(State.limit(limit), ordering: .acquiringAndReleasing).newValue).active == 0 {
      return
    }
    while true {
      for _ in 0..<Self.looks where State(word: state.load(ordering: .acquiring)).active == 0 { return }
      sched_yield()
    }
  }

  private func start(_ worker: Int) {
    let reason = startThread { self.work(worker) }
    if reason != 0 { Shortage.ofThreads(reason) }
  }

  private func work(_ worker: Int) -> Never {
    var done: UInt = 0
    while true {
      let seen = next(after: done)
      done = seen.number
      guard worker < Int(seen.limit) else { continue }
      // It may be a later loop by now, in which this thread takes part as well.
      let entered = State(word: state.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue)
      if worker < Int(entered.limit) {
        done = entered.number
        body?(worker)
      }
      state.wrappingSubtract(1, ordering: .releasing)
    }
  }

  private func next(after done: UInt) -> State {
    for _ in 0..<Self.patience {
      for _ in 0..<Self.looks {
        let current = State(word: state.load(ordering: .acquiring))
        if current.number != done { return current }
      }
      sched_yield()
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
    while true {
      let current = State(word: state.load(ordering: .sequentiallyConsistent))
      if current.number != done { return current }
      pthread_cond_wait(condition, mutex)
    }
  }
}
