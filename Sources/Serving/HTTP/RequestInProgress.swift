import NIOCore
import NIOHTTP1

/// A request from the end of its fields to the end of its answer.
struct RequestInProgress {
  var head: HTTPRequestHead
  /// Without its query.
  var path: String
  /// Where it leads; nil while unknown, or where that is nowhere.
  var route: Route?
  /// What was wrong with its fields.
  var refusal: APIError?
  var body = ByteBuffer()
  /// Counted in the server's bytes of bodies.
  var heldBytes = 0
  let began = NIODeadline.now()
  /// The origin that may read the answer, for a browser.
  var foreignOrigin: String?
  var entry: ServerLogEntry

  init(_ head: HTTPRequestHead, client: String) {
    self.head = head
    path = String(head.uri.prefix { $0 != "?" && $0 != "#" })
    entry = ServerLogEntry(
      method: head.method.rawValue, path: printablePath(path), status: 0, seconds: 0, client: client)
  }

  /// Whether something follows its fields.
  var hasBody: Bool {
    if head.headers.contains(name: "transfer-encoding") { return true }
    return head.headers.first(name: "content-length").map { $0 != "0" } ?? false
  }

  var announcedBytes: Int? { head.headers.first(name: "content-length").flatMap { Int($0) } }

  /// The client sends its body only when told to.
  var expectsContinue: Bool {
    !head.version.isBefore1_1 && head.headers.first(name: "expect")?.lowercased() == "100-continue"
  }

  var seconds: Double { Double((NIODeadline.now() - began).nanoseconds) / 1e9 }
}

extension HTTPVersion {
  var isBefore1_1: Bool { (major, minor) < (1, 1) }
}

/// At most 200 characters of it, each visible ASCII.
private func printablePath(_ path: String) -> String {
  String(decoding: path.utf8.prefix(200).map { (0x21...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
}
