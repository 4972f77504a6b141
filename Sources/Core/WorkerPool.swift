import Glibc
import Synchronization

/// Threads that wait for the next parallel loop: awake for some microseconds, because the next one is usually near, then
/// asleep.
///
/// One loop at a time: a loop that finds the pool taken, or is started inside another, has to help itself.
final class WorkerPool: Sendable {
  static let shared = WorkerPool()

  /// Looks at the ticket before a worker goes to sleep, each after giving way to other threads: some 30 µs.
  private static let patience = 100

  private let taken = Atomic<Bool>(false)
  /// Number of the loop × 256 + threads that take part in it, the caller included.
  private let ticket = Atomic<UInt>(0)
  private let unfinished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  // Changed by the owner alone, read by those who take part while the owner waits for them.
  private nonisolated(unsafe) var body: (@Sendable (Int) -> Void)?
  private nonisolated(unsafe) var threads = 1
  private nonisolated(unsafe) let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private nonisolated(unsafe) let condition: UnsafeMutablePointer<pthread_cond_t>

  private init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  /// Runs `body(0) … body(count - 1)`, each on a thread of its own and 0 on the caller's, and waits for all. False, with
  /// nothing done, where the pool is taken or the threads cannot be had.
  func run(_ count: Int, _ body: @Sendable (Int) -> Void) -> Bool {
    guard count <= 255, !taken.exchange(true, ordering: .acquiring) else { return false }
    defer { taken.store(false, ordering: .releasing) }
    while threads < count { guard start(threads) else { return false } }
    withoutActuallyEscaping(body) { body in
      self.body = body
      unfinished.store(count - 1, ordering: .relaxed)
      let number = ticket.load(ordering: .relaxed) >> 8 &+ 1
      ticket.store(number << 8 | UInt(count), ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
      }
      body(0)
      wait()
      self.body = nil
    }
    return true
  }

  private func wait() {
    while unfinished.load(ordering: .acquiring) > 0 { sched_yield() }
  }

  private func start(_ worker: Int) -> Bool {
    final class Start {
      let pool: WorkerPool
      let worker: Int
      let seen: UInt
      init(_ pool: WorkerPool, _ worker: Int, _ seen: UInt) {
        (self.pool, self.worker, self.seen) = (pool, worker, seen)
      }
    }
    let start = Unmanaged.passRetained(Start(self, worker, ticket.load(ordering: .relaxed)))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        start.pool.work(start.worker, seen: start.seen)
      }, start.toOpaque())
    guard result == 0 else {
      start.release()
      return false
    }
    pthread_detach(thread)
    threads += 1
    return true
  }

  private func work(_ worker: Int, seen: UInt) -> Never {
    var seen = seen
    while true {
      seen = next(after: seen)
      guard worker < Int(seen & 255) else { continue }
      body?(worker)
      unfinished.subtract(1, ordering: .releasing)
    }
  }

  private func next(after seen: UInt) -> UInt {
    for _ in 0..<Self.patience {
      let current = ticket.load(ordering: .acquiring)
      if current != seen { return current }
      sched_yield()
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
    while true {
      let current = ticket.load(ordering: .sequentiallyConsistent)
      if current != seen { return current }
      pthread_cond_wait(condition, mutex)
    }
  }
}
