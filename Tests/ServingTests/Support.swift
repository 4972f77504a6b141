import Core
import JSON
import Serving
import Synchronization

/// What a server has logged.
final class LogBook: Sendable {
  private let written = Mutex<[ServerLogEntry]>([])
  var entries: [ServerLogEntry] { written.withLock { $0 } }
  func write(_ entry: ServerLogEntry) { written.withLock { $0.append(entry) } }
}

/// A server on a free port for the time of `body`.
func withServer(
  _ engine: FakeEngine = FakeEngine(), log: LogBook = LogBook(), _ change: (inout ServerSettings) -> Void = { _ in },
  _ body: (_ port: Int, _ server: CompletionServer) throws -> Void
) throws {
  var settings = ServerSettings()
  settings.port = 0
  change(&settings)
  let server = try CompletionServer(engine, settings) { log.write($0) }
  defer { server.stop(within: 0) }
  try body(server.port, server)
}

let chatBody = #"{"model":"base","messages":[{"role":"user","content":"Hi"}]}"#

/// The same with more members.
func chat(_ members: String) -> String {
  #"{"model":"base","messages":[{"role":"user","content":"Hi"}],\#(members)}"#
}

func parsed(_ text: String) throws -> JSONValue {
  try Array(text.utf8).withUnsafeBytes { try parseJSON($0, file: "text") }
}

/// Without id and time, which are new each time.
func withoutStamps(_ text: String) -> String {
  guard var object = try? parsed(text).object else { return text }
  object.members = object.members.filter { $0.key != "id" && $0.key != "created" }
  return JSONValue.object(object).serialized
}
