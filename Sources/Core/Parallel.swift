import Synchronization

/// Runs `body(0) … body(count-1)` on at most `threads` threads and waits for all. Which thread runs which index is not
/// fixed, so bodies must write disjoint places; results are then the same for any number of threads. `cut` says what else
/// the work would be cut into with other numbers of threads, to whoever records loops.
public func parallelFor(
  _ count: Int, threads: Int, cut: @autoclosure () -> LoopCut = .fixed, _ body: @Sendable (Int) -> Void
) {
  parallelFor(count, threads: threads, cut: cut()) { index, _ in body(index) }
}

/// Runs `body(index, worker)` for the indices 0 ..< `count` on at most `threads` threads and waits for all. `worker`, in
/// 0 ..< `threads`, is the thread's number, for scratch memory. Bodies must write disjoint places.
public func parallelFor(
  _ count: Int, threads: Int, cut: @autoclosure () -> LoopCut = .fixed,
  _ body: @Sendable (_ index: Int, _ worker: Int) -> Void
) {
  if let recorder = LoopRecorder.ofThisThread {
    recorder.run(count, threads: threads, cut(), body)
  } else {
    runLoop(count, threads: threads, body)
  }
}

/// As `parallelFor`; gives false where the caller's thread did all of it.
@discardableResult
func runLoop(_ count: Int, threads: Int, _ body: @Sendable (_ index: Int, _ worker: Int) -> Void) -> Bool {
  let workers = min(threads, count)
  guard workers > 1 else {
    for index in 0..<count {
      Activity.tick()
      body(index, 0)
    }
    return false
  }
  let next = Atomic<Int>(0)
  @Sendable func work(_ worker: Int) {
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if index >= count { return }
      if worker == 0 { Activity.tick() }
      body(index, worker)
    }
  }
  if WorkerPool.shared.run(workers, work) { return true }
  work(0)
  return false
}

/// From now on no more threads than `most` take part in a loop at a time, the caller's among them. Work is cut as it was, and
/// done by those.
public func limitThreadsAtWork(to most: Int) {
  WorkerPool.mostAtWork.store(max(1, min(most, WorkerPool.mostThreads)), ordering: .relaxed)
}

/// `items.map(transform)` on several threads, in order; the first error in order of items is thrown.
public func parallelMap<Item: Sendable, Result: Sendable>(
  _ items: [Item], threads: Int, _ transform: @Sendable (Item) throws -> Result
) throws -> [Result] {
  var results = [Swift.Result<Result, any Error>?](repeating: nil, count: items.count)
  results.withUnsafeMutableBufferPointer { buffer in
    nonisolated(unsafe) let slots = buffer
    parallelFor(items.count, threads: threads) { index in
      slots[index] = Swift.Result { try transform(items[index]) }
    }
  }
  return try results.map { result in
    guard let result else { throw SFTError(.internalError, "a parallel task left no result") }
    return try result.get()
  }
}
