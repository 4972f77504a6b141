import Core
import Dispatch
import Glibc
import NIOCore
import Synchronization

/// What all connections of a server share.
final class ServerState: Sendable {
  let engine: any CompletionEngine
  let settings: ServerSettings
  let gate: Gate
  let metrics = Metrics()
  let log: @Sendable (ServerLogEntry) -> Void
  /// Entered by each request as it begins, left as its answer ends.
  let requests = DispatchGroup()

  private struct State {
    var isStopping = false
    var heldBytes = 0
    var channels: [ObjectIdentifier: any Channel] = [:]
  }

  private let state = Mutex(State())

  init(
    _ engine: any CompletionEngine, _ settings: ServerSettings, _ log: @escaping @Sendable (ServerLogEntry) -> Void
  ) {
    self.engine = engine
    self.settings = settings
    self.log = log
    gate = Gate(settings)
  }

  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// False where it was stopping already.
  func beginStopping() -> Bool {
    state.withLock { state in
      defer { state.isStopping = true }
      return !state.isStopping
    }
  }

  /// How many connections are open now, this one among them.
  func opened(_ channel: any Channel) -> Int {
    metrics.connections(1)
    return state.withLock { state in
      state.channels[ObjectIdentifier(channel)] = channel
      return state.channels.count
    }
  }

  func closed(_ channel: any Channel) {
    metrics.connections(-1)
    state.withLock { _ = $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
  }

  var channels: [any Channel] { state.withLock { Array($0.channels.values) } }

  /// Counts bytes of bodies; false where there is no room for so many more.
  func hold(_ bytes: Int) -> Bool {
    state.withLock { state in
      guard bytes <= settings.allBodiesBytes - state.heldBytes else { return false }
      state.heldBytes += bytes
      return true
    }
  }

  func release(_ bytes: Int) { state.withLock { $0.heldBytes -= bytes } }
}

/// What a stopping server tells its connections.
enum StopEvent: Sendable {
  /// To finish what they do and close.
  case finish
  /// To close now.
  case giveUp
}

/// Seconds since 1970 in UTC.
func unixTime() -> Int { time(nil) }

/// The moment as HTTP's field `Date` has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
func httpDate(_ seconds: Int) -> String {
  var time = time_t(seconds)
  var parts = tm()
  gmtime_r(&time, &parts)
  let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
  func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
  let day = "\(days[Int(parts.tm_wday) % 7]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon) % 12])"
  return "\(day) \(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
}
