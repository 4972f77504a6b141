import Core
import Glibc
import Synchronization

/// The processes that train together, as one of them sees them: ranks 0 ..< `count`, of which 0 leads.
///
/// All that is sent is waited for with an eye on the others: a rank that has failed says so to rank 0, a rank that is gone
/// or stands still is missed, because every rank hears a sign of life from the one before it.
public final class RankGroup: Sendable {
  public let rank: Int
  public let count: Int
  /// Name of each rank's host.
  public let hosts: [String]
  private let engine: RankEngine
  private let life: Heartbeat

  public var isLeader: Bool { rank == 0 }
  public var others: [Int] { (0..<count).filter { $0 != rank } }

  /// Loads the library at `path` and joins the processes that `launch` tells of. `lost` is called, on any thread, with a rank that
  /// has not been heard of for some seconds, or where this is rank 0 and stands still, and with what is to be said of it; it is
  /// to end the process, by `abort`.
  ///
  /// Throws `usage` where there is no such library, or it finds other processes than the launcher started.
  public init(
    library path: String, _ launch: Launch, patience: Duration = .seconds(10),
    lost: @escaping @Sendable (RankGroup, _ what: String) -> Void
  ) throws {
    let engine = try RankEngine(path: path)
    let (rank, count) = try engine.start()
    guard count == launch.count else {
      throw SFTError(
        .usage, "the launcher started \(launch.count) processes, but MPI joins \(count): they belong to two MPIs",
        file: path, advice: "Build sft's library with the MPI whose launcher is used")
    }
    (self.rank, self.count, self.engine) = (rank, count, engine)
    life = Heartbeat(engine, rank: rank, count: count, patience: patience)
    hosts = try Self.names(engine, life, rank, count)
    life.start(
      missed: { [weak self] in if let self { lost(self, "\(name($0)) has not been heard of for some seconds") } },
      stood: { [weak self] in
        guard let self else { return }
        let words = "has stood still for \(Heartbeat.stillSeconds) seconds"
        // Rank 0 is the one that ends all, if it can.
        if isLeader { return lost(self, "\(name(0)) \(words)") }
        fail(SFTError(.inputOutput, words), isSentence: true)
      })
  }

  private static func names(_ engine: RankEngine, _ life: Heartbeat, _ rank: Int, _ count: Int) throws -> [String] {
    var name = [UInt8](repeating: 0, count: 256)
    name.withUnsafeMutableBytes { bytes in
      if let start = bytes.bindMemory(to: CChar.self).baseAddress { _ = gethostname(start, bytes.count - 1) }
    }
    return try exchange(engine, life, rank, Array(repeating: name.count, count: count), name).map { name in
      String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// `rank 1 on HOST`, or `rank 1` where all are on one host.
  public func name(_ rank: Int) -> String {
    Set(hosts).count == 1 ? "rank \(rank)" : "rank \(rank) on \(hosts[rank])"
  }

  // MARK: - Values

  /// Begins to send `bytes` to a rank that receives so many. They have to stay as they are until that was waited for.
  public func send(
    _ bytes: UnsafeRawBufferPointer, to rank: Int, _ channel: RankChannel = .values
  ) throws -> RankRequest {
    RankRequest(number: try engine.send(bytes, to: rank, channel.tag))
  }

  /// Begins to receive so many bytes from a rank that sends them in the same channel.
  public func receive(
    _ bytes: UnsafeMutableRawBufferPointer, from rank: Int, _ channel: RankChannel = .values
  ) throws -> RankRequest {
    RankRequest(number: try engine.receive(bytes, from: rank, channel.tag))
  }

  /// Those of some requests that are not done yet. The others are forgotten.
  public func unfinished(_ requests: [RankRequest]) throws -> [RankRequest] {
    try requests.filter { try !engine.isDone($0.number) }
  }

  /// Whether a thread carries on what was begun while this one computes: MPI itself moves large messages only where it is
  /// called. On one host it does not: there it would be a copy, made beside the computing by a core that computes.
  public func keepsMoving(_ isMoving: Bool) { if Set(hosts).count > 1 { life.keepsMoving(isMoving) } }

  /// Waits until all are done. Throws what ends the group meanwhile.
  public func wait(for requests: [RankRequest]) throws {
    try Self.wait(engine, life, requests.map(\.number))
  }

  private static func wait(_ engine: RankEngine, _ life: Heartbeat, _ requests: [Int32]) throws {
    var pending = requests[...]
    var pause = Pause()
    while true {
      while let first = pending.first, try engine.isDone(first) { pending.removeFirst() }
      if pending.isEmpty { return }
      try life.check()
      pause()
    }
  }

  /// Every rank's bytes, of which rank r has `sizes[r]`.
  public func exchange(_ sizes: [Int], _ own: [UInt8]) throws -> [[UInt8]] {
    try Self.exchange(engine, life, rank, sizes, own)
  }

  /// Every rank's numbers, of which rank r has `counts[r]`.
  public func exchange(_ counts: [Int], _ own: [Double]) throws -> [[Double]] {
    let size = MemoryLayout<Double>.size
    return try exchange(counts.map { size * $0 }, own.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: size).map { bytes.loadUnaligned(fromByteOffset: $0, as: Double.self) }
      }
    }
  }

  private static func exchange(
    _ engine: RankEngine, _ life: Heartbeat, _ rank: Int, _ sizes: [Int], _ own: [UInt8]
  ) throws -> [[UInt8]] {
    precondition(own.count == sizes[rank])
    let starts = sizes.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    var all = [UInt8](repeating: 0, count: starts[sizes.count])
    try all.withUnsafeMutableBytes { all in
      try own.withUnsafeBytes { own in
        var requests: [Int32] = []
        for other in sizes.indices where other != rank {
          let place = UnsafeMutableRawBufferPointer(rebasing: all[starts[other]..<starts[other + 1]])
          requests.append(try engine.receive(place, from: other, .data))
          requests.append(try engine.send(own, to: other, .data))
        }
        try wait(engine, life, requests)
        UnsafeMutableRawBufferPointer(rebasing: all[starts[rank]..<starts[rank + 1]]).copyMemory(from: own)
      }
    }
    return sizes.indices.map { Array(all[starts[$0]..<starts[$0 + 1]]) }
  }

  /// Every rank gets what rank 0 has, from one that has it already: in as many rounds as the ranks' number has binary digits.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws {
    var has = 1
    while has < count {
      if rank < has, rank + has < count {
        try wait(for: [send(UnsafeRawBufferPointer(bytes), to: rank + has)])
      } else if (has..<2 * has).contains(rank) {
        try wait(for: [receive(bytes, from: rank - has)])
      }
      has *= 2
    }
  }

  // MARK: - Notes

  /// Sends a note, however long, to a rank that waits for one.
  public func send(note: [UInt8], to rank: Int) throws {
    try note.withUnsafeBytes { try Self.wait(engine, life, [engine.send($0, to: rank, .note)]) }
  }

  /// The next note of any rank.
  public func note() throws -> (rank: Int, note: [UInt8]) {
    var pause = Pause()
    while true {
      if let (rank, size) = try engine.arrived(.note) {
        var note = [UInt8](repeating: 0, count: size)
        try note.withUnsafeMutableBytes { try Self.wait(engine, life, [engine.receive($0, from: rank, .note)]) }
        return (rank, note)
      }
      try life.check()
      pause()
    }
  }

  // MARK: - Standing still

  /// While `body` runs, this process should do something, if only to look for messages, or wait for a disk or for a reader: where
  /// it does neither for long, the group ends.
  public func working<Result>(_ body: () throws -> Result) rethrows -> Result { try expecting(.work, body) }

  /// While `body` runs, this process should go on with parallel loops, or wait for others.
  public func computing<Result>(_ body: () throws -> Result) rethrows -> Result { try expecting(.loops, body) }

  private func expecting<Result>(_ watch: Heartbeat.Watch, _ body: () throws -> Result) rethrows -> Result {
    let before = life.expect(watch)
    defer { life.expect(before) }
    return try body()
  }

  // MARK: - The end

  /// Tells rank 0 why this rank cannot go on. It ends all.
  public func fail(_ error: SFTError) { fail(error, isSentence: false) }

  /// `isSentence`: whether the message goes on from the rank's name.
  private func fail(_ error: SFTError, isSentence: Bool) {
    var error = error
    error.message = "\(name(rank))\(isSentence ? "" : ":") \(error.message)"
    life.send(control: .failed(error), to: 0)
  }

  /// Ends the group: rank 0 tells the others, and waits for their word. What they compute is lost. Where one does not answer
  /// within `limit`, they are ended by force, with `code` as that of the process.
  public func end(within limit: Duration = .seconds(10), code: Int32) {
    guard isLeader else { return leave() }
    for other in others { life.send(control: .end, to: other) }
    if life.waitForFarewells(from: Set(others), limit) { leave(says: false) } else { engine.abort(code) }
  }

  private func leave(says: Bool = true) {
    if says { life.send(control: .farewell, to: 0) }
    life.stop()
    engine.finish()
  }

  /// Ends all processes at once.
  public func abort(code: Int32) { engine.abort(code) }
}

/// Messages of one channel arrive in order; what another has on its way is no part of that.
public enum RankChannel: Sendable {
  case values
  /// Of gradients, which are on their way while other values are exchanged.
  case gradients

  var tag: MessageTag { self == .values ? .data : .gradients }
}

/// Something that is being sent or received.
public struct RankRequest: Sendable { let number: Int32 }

/// Why a rank stops in the middle: rank 0 has said so.
public struct RanksEnded: Error {}

/// Between two looks: short at first, as what is waited for is often near.
struct Pause {
  private var looks = 0

  mutating func callAsFunction() {
    looks += 1
    if looks < 2_000 { sched_yield() } else { usleep(looks < 10_000 ? 50 : 1_000) }
  }
}
