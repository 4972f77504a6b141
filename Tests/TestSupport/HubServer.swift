import Files
import Foundation
import JSON
import Synchronization

/// A hub on this machine with one repository, which sends large files to another host and misbehaves where it is told to.
public final class HubServer: Sendable {
  public static let commit = "0123456789abcdef0123456789abcdef01234567"

  public let files: [String: [UInt8]]
  public let server: MisbehavingServer

  /// `listed` takes the place of what is said of each file. `misbehave` is asked first: the request's number from 0,
  /// its path, and where its range begins, if it has one.
  public init(
    _ files: [String: [UInt8]], listed: JSONValue? = nil,
    misbehave: @escaping @Sendable (_ number: Int, _ path: String, _ start: Int?) -> MisbehavingServer.Behaviour? = {
      _, _, _ in nil
    }
  ) throws {
    self.files = files
    server = try MisbehavingServer { number, request in
      let path = String(request.head.split(separator: " ")[1])
      let range = Self.header("range", request.head)?.dropFirst("bytes=".count).split(separator: "-").first
      let start = range.flatMap { Int($0) }
      if let behaviour = misbehave(number, path, start) { return behaviour }
      let port = Self.header("host", request.head)?.split(separator: ":").last ?? "80"
      if path.hasPrefix("/api/") { return Self.answer(Self.list(files, listed)) }
      let name = path.components(separatedBy: "/\(Self.commit)/").last?.removingPercentEncoding ?? ""
      guard let content = files[name] else {
        return .status(404, headers: "X-Error-Code: EntryNotFound\r\n")
      }
      if Self.isLarge(name), !path.hasPrefix("/cdn") {
        return .status(302, headers: "Location: http://localhost:\(port)/cdn\(path)\r\n")
      }
      return Self.answer(content, from: start)
    }
  }

  public var endpoint: String { "http://127.0.0.1:\(server.port)" }
  public var paths: [String] { server.requests.map { String($0.head.split(separator: " ")[1]) } }
  /// Heads of the requests for files' contents.
  public var downloads: [String] { server.requests.map(\.head).filter { !$0.contains(" /api/") } }

  public static func isLarge(_ name: String) -> Bool { name.hasSuffix(".safetensors") || name.hasSuffix(".parquet") }

  public static func header(_ name: String, _ head: String) -> String? {
    head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name + ":") }
      .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
  }

  public static func answer(_ body: [UInt8], from start: Int? = nil, length: Int? = nil) -> MisbehavingServer.Behaviour
  {
    let rest = body.dropFirst(start ?? 0)
    let first = start.map { "206 Partial\r\nContent-Range: bytes \($0)-\(body.count - 1)/\(body.count)" } ?? "200 OK"
    let head = "HTTP/1.1 \(first)\r\nContent-Length: \(length ?? rest.count)\r\nConnection: close\r\n\r\n"
    return .bytes(Array(head.utf8) + rest)
  }

  public static func hash(_ name: String, _ content: [UInt8]) -> String {
    var hash = ContentHash(named: String(repeating: "0", count: isLarge(name) ? 64 : 40), size: content.count)
    content.withUnsafeBytes { hash?.update($0) }
    return hash?.hex ?? ""
  }

  private static func list(_ files: [String: [UInt8]], _ listed: JSONValue?) -> [UInt8] {
    let siblings = files.keys.sorted().map { name -> JSONValue in
      if let listed { return listed }
      let content = files[name] ?? []
      var members: [(String, JSONValue)] = [
        ("rfilename", .string(name)), ("size", .integer(content.count)), ("blobId", .string(hash("", content))),
      ]
      if isLarge(name) {
        let large: [(String, JSONValue)] = [
          ("sha256", .string(hash(name, content))), ("size", .integer(content.count)),
        ]
        members.append(("lfs", .object(JSONObject(large))))
      }
      return .object(JSONObject(members))
    }
    let list: [(String, JSONValue)] = [("sha", .string(commit)), ("siblings", .array(siblings))]
    return Array(JSONValue.object(JSONObject(list)).serialized.utf8)
  }
}
