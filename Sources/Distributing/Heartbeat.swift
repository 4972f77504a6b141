import Core
import Dispatch
import Files
import Glibc
import Synchronization

/// Signs of life between the ranks, and the news that end a group.
///
/// Every rank sends one to the next in the ring twice a second, from a thread of its own, and misses the one before it when
/// none has come for some seconds. The thread also sees when its own process stands still where it should compute.
final class Heartbeat: Sendable {
  private struct State {
    var lastHeard = ContinuousClock.now
    var isStopped = false
    var failure: SFTError?
    var hasEnded = false
    var farewells: Set<Int> = []
    /// What is being sent, with the request; kept until it is.
    var sending: [(bytes: UnsafeMutableRawBufferPointer, request: Int32)] = []
  }

  private static let interval: Duration = .milliseconds(500)
  /// Between two looks while messages are carried on: in it a network of 1 Gbit/s brings what its buffers hold easily.
  private static let step: useconds_t = 500
  private let engine: RankEngine
  private let rank: Int
  private let count: Int
  private let patience: Duration
  /// What is expected of this process, so that it is seen to stand still.
  enum Watch: Int, AtomicRepresentable {
    case nothing
    /// To use some CPU time, if only to look for messages, or to wait for what is not its own.
    case work
    /// To go on with loops, or to wait for others: it may not spin either.
    case loops
  }

  /// Signs of life in a row in which what is expected was not seen, after which the process is said to stand still. Time in
  /// which it was stopped as a whole does not count.
  private static let stillBeats = 60
  static let stillSeconds = stillBeats / 2
  private let state = Mutex(State())
  /// Held while messages are looked for and taken.
  private let looking = Mutex<Void>(())
  /// Held while the thread is at work.
  private let running = Mutex<Void>(())
  private let isMoving = Atomic<Bool>(false)
  private let watch = Atomic<Watch>(.nothing)
  private let wake = DispatchSemaphore(value: 0)

  init(_ engine: RankEngine, rank: Int, count: Int, patience: Duration) {
    (self.engine, self.rank, self.count, self.patience) = (engine, rank, count, patience)
  }

  private var before: Int { (rank + count - 1) % count }
  private var after: Int { (rank + 1) % count }

  /// `missed` is called with the number of a rank that is missed, `stood` when this process stands still; one of them, once.
  func start(missed: @escaping @Sendable (Int) -> Void, stood: @escaping @Sendable () -> Void) {
    guard count > 1 else { return }
    state.withLock { $0.lastHeard = .now }
    let reason = startThread { self.run(missed, stood) }
    if reason != 0 { Shortage.ofThreads(reason) }
  }

  private func run(_ missed: @Sendable (Int) -> Void, _ stood: @Sendable () -> Void) {
    var (seen, still) = (Seen(), 0)
    var hasStood = false
    while true {
      let (isStopped, isMissed): (Bool, Bool) = running.withLock { _ in
        if state.withLock(\.isStopped) { return (true, false) }
        send([], to: after, .heartbeat)
        // What fails here fails where values are waited for.
        try? look()
        return (false, state.withLock { .now - $0.lastHeard > patience })
      }
      if isStopped { return }
      if isMissed { return missed(before) }
      let now = Seen()
      still = now.standsStill(since: seen, watch.load(ordering: .relaxed)) ? still + 1 : 0
      seen = now
      if still >= Self.stillBeats, !hasStood {
        hasStood = true
        stood()
      }
      rest()
    }
  }

  /// Until the next sign of life is due: asleep, or carrying on messages.
  private func rest() {
    let end = ContinuousClock.now + Self.interval
    while .now < end {
      if isMoving.load(ordering: .relaxed) {
        running.withLock { _ in if !state.withLock(\.isStopped) { engine.progress() } }
        usleep(Self.step)
      } else if wake.wait(timeout: .now() + 0.5) == .timedOut {
        return
      }
    }
  }

  /// Whether the thread carries on what is being sent and received.
  func keepsMoving(_ isMoving: Bool) {
    if self.isMoving.exchange(isMoving, ordering: .relaxed) != isMoving, isMoving { wake.signal() }
  }

  /// From now on this is expected; gives what was until now.
  @discardableResult
  func expect(_ watch: Watch) -> Watch { self.watch.exchange(watch, ordering: .relaxed) }

  /// Takes up the news that have come. Throws what ends the group.
  func check() throws {
    Activity.tick()
    try look()
    if let failure = state.withLock(\.failure) { throw failure }
    if state.withLock(\.hasEnded) { throw RanksEnded() }
  }

  /// One thread at a time: of two that see the same message, one would wait for it in vain.
  private func look() throws {
    _ = try looking.withLockIfAvailable { _ in try takeNews() }
  }

  private func takeNews() throws {
    while let (rank, size) = try engine.arrived(.heartbeat) {
      _ = try read(size, from: rank, .heartbeat)
      if rank == before { state.withLock { $0.lastHeard = .now } }
    }
    while let (rank, size) = try engine.arrived(.control) {
      let control = Control(try read(size, from: rank, .control))
      state.withLock { state in
        switch control {
        case .end: state.hasEnded = true
        case .farewell: state.farewells.insert(rank)
        case .failed(let error): if state.failure == nil { state.failure = error }
        }
      }
    }
  }

  /// A message that has arrived whole, or nearly so.
  private func read(_ size: Int, from rank: Int, _ tag: MessageTag) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    try bytes.withUnsafeMutableBytes { bytes in
      let request = try engine.receive(bytes, from: rank, tag)
      while try !engine.isDone(request) { sched_yield() }
    }
    return bytes
  }

  func send(control: Control, to rank: Int) { send(control.bytes, to: rank, .control) }

  /// Sends without waiting; a sign of life only where the last ones are on their way.
  private func send(_ message: [UInt8], to rank: Int, _ tag: MessageTag) {
    state.withLock { state in
      forgetSent(&state)
      guard tag != .heartbeat || state.sending.count < 16 else { return }
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: message.count, alignment: 1)
      bytes.copyBytes(from: message)
      guard let request = try? engine.send(UnsafeRawBufferPointer(bytes), to: rank, tag) else {
        return bytes.deallocate()
      }
      state.sending.append((bytes, request))
    }
  }

  private func forgetSent(_ state: inout State) {
    state.sending.removeAll { sent in
      guard let isDone = try? engine.isDone(sent.request), isDone else { return false }
      sent.bytes.deallocate()
      return true
    }
  }

  /// Whether all these ranks have said farewell in time.
  func waitForFarewells(from ranks: Set<Int>, _ limit: Duration) -> Bool {
    let end = ContinuousClock.now + limit
    while .now < end {
      try? look()
      if state.withLock({ $0.farewells.isSuperset(of: ranks) }) { return true }
      usleep(1_000)
    }
    return false
  }

  /// Waits until what was sent is sent, and the thread is at its end.
  func stop() {
    for _ in 0..<2_000 {
      let isSent = state.withLock { state in
        forgetSent(&state)
        return state.sending.isEmpty
      }
      if isSent { break }
      usleep(1_000)
    }
    running.withLock { _ in state.withLock { $0.isStopped = true } }
  }
}

/// What this process has done so far, as the thread sees it that makes one.
private struct Seen {
  private let loops = Activity.count
  /// Of all threads but this one.
  private let seconds = Self.cpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - Self.cpuSeconds(CLOCK_THREAD_CPUTIME_ID)

  func standsStill(since before: Seen, _ watch: Heartbeat.Watch) -> Bool {
    switch watch {
    case .nothing: false
    case .work: seconds - before.seconds < 2e-4 && !Self.waitsOutside
    case .loops: loops == before.loops
    }
  }

  fileprivate static func cpuSeconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Whether any thread waits for a disk, or for somebody to read what it writes, by what the system says of it: a stopped
  /// terminal is no fault.
  private static var waitsOutside: Bool {
    let tasks = "/proc/self/task"
    let names = (try? directoryEntries(tasks)) ?? []
    return names.contains { name in
      func text(_ file: String) -> Substring { (try? readPseudoFile("\(tasks)/\(name)/\(file)"))?[...] ?? "" }
      let state = text("stat").split(separator: ")").last?.drop { $0 == " " }.first
      return state == "D" || writes.contains(String(text("syscall").prefix { $0 != " " }))
    }
  }

  /// Numbers of the calls that write.
  private static var writes: Set<String> {
    #if arch(x86_64)
      ["1", "20"]
    #else
      ["64", "66"]
    #endif
  }
}

/// News that end a group.
package enum Control: Equatable {
  case end
  case farewell
  case failed(SFTError)

  /// The kind's exit code, 0 for an end and 1 for a farewell, and a failure's message, file and advice, set apart by zeros.
  package var bytes: [UInt8] {
    switch self {
    case .end: [0]
    case .farewell: [1]
    case .failed(let error):
      [UInt8(truncatingIfNeeded: error.kind.rawValue)]
        + [error.message, error.file ?? "", error.advice ?? ""].map { Array($0.utf8) }.joined(separator: [0])
    }
  }

  package init(_ bytes: [UInt8]) {
    switch bytes.first {
    case 1: self = .farewell
    case let code? where SFTError.Kind(rawValue: Int32(code)) != nil:
      let texts = bytes.dropFirst().split(separator: 0, omittingEmptySubsequences: false).map {
        String(decoding: $0, as: UTF8.self)
      }
      func text(_ place: Int) -> String? { texts.indices.contains(place) && !texts[place].isEmpty ? texts[place] : nil }
      self = .failed(
        SFTError(
          SFTError.Kind(rawValue: Int32(code)) ?? .internalError, text(0) ?? "it failed", file: text(1),
          advice: text(2)))
    default: self = .end
    }
  }
}
