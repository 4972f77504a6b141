import CRankEngine
import Core
import Glibc
import Synchronization

/// The library that carries messages, used by one thread at a time.
final class RankEngine: Sendable {
  private nonisolated(unsafe) let table: UnsafePointer<sft_rank_engine>
  private let inUse = Mutex<Void>(())

  /// Throws `usage` where the library cannot be used, with the reason.
  init(path: String) throws {
    var message = [CChar](repeating: 0, count: 1024)
    guard let table = sft_load_rank_engine(path, &message, message.count) else {
      throw SFTError(.usage, "the library for MPI cannot be used: \(Self.text(message))", file: path)
    }
    self.table = table
  }

  /// Joins the other processes. Throws `usage` where that fails.
  func start() throws -> (rank: Int, count: Int) {
    var (rank, count): (Int32, Int32) = (0, 1)
    var message = [CChar](repeating: 0, count: 1024)
    guard table.pointee.start(&rank, &count, &message, message.count) == 0 else {
      throw SFTError(.usage, Self.text(message))
    }
    return (Int(rank), Int(count))
  }

  func finish() { inUse.withLock { _ in table.pointee.finish() } }

  func abort(_ code: Int32) { table.pointee.abort(code) }

  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, _ tag: MessageTag) throws -> Int32 {
    try begun(inUse.withLock { _ in table.pointee.send(bytes.baseAddress, bytes.count, Int32(rank), tag.rawValue) })
  }

  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, _ tag: MessageTag) throws -> Int32 {
    try begun(inUse.withLock { _ in table.pointee.receive(bytes.baseAddress, bytes.count, Int32(rank), tag.rawValue) })
  }

  private func begun(_ request: Int32) throws -> Int32 {
    guard request >= 0 else { throw Self.failed }
    return request
  }

  /// Forgets it when it is done.
  func isDone(_ request: Int32) throws -> Bool {
    let answer = inUse.withLock { _ in table.pointee.is_done(request) }
    guard answer >= 0 else { throw Self.failed }
    return answer == 1
  }

  /// A message that has arrived and nobody receives yet.
  func arrived(_ tag: MessageTag) throws -> (rank: Int, size: Int)? {
    var (rank, size): (Int32, Int) = (0, 0)
    let answer = inUse.withLock { _ in table.pointee.arrived(tag.rawValue, &rank, &size) }
    guard answer >= 0 else { throw Self.failed }
    return answer == 1 ? (Int(rank), size) : nil
  }

  /// Lets the library carry on what it has begun.
  func progress() { _ = try? arrived(.control) }

  private static let failed = SFTError(.inputOutput, "MPI does not carry a message between the ranks")

  private static func text(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// What a message is about.
enum MessageTag: Int32 {
  /// Values that every rank knows to be coming, in an order that every rank knows.
  case data = 1
  /// A message that its receiver waits for.
  case note
  /// That the sender ends, or has failed: looked for whatever is waited for.
  case control
  /// That the sender is there.
  case heartbeat
  /// As `data`, with an order of their own.
  case gradients
}
