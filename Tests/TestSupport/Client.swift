import Core
import JSON

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A connection to a server on this machine that sends what it is told to, byte for byte.
public final class Client {
  public struct Answer: Equatable {
    public var status = 0
    /// Names in lower case.
    public var fields: [String: String] = [:]
    public var body = ""

    public var json: JSONValue? { Array(body.utf8).withUnsafeBytes { try? parseJSON($0, file: "answer") } }
    /// The data of a stream's events.
    public var events: [String] {
      body.split(separator: "\n\n").map { $0.hasPrefix("data: ") ? String($0.dropFirst(6)) : "no event: \($0)" }
    }
  }

  public struct Broken: Error {}

  private var socket: Int32
  private var bytes: [UInt8] = []

  /// `receiveBuffer`: bytes that the system may keep for this side, where not as many as it likes.
  public init(_ port: Int, receiveBuffer: Int32? = nil) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if var size = receiveBuffer {
      setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    address.sin_port = UInt16(port).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Broken() }
  }

  deinit { close() }

  public func close() {
    if socket >= 0 { Glibc.close(socket) }
    socket = -1
  }

  /// Whether all of it was taken.
  @discardableResult
  public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }

  /// A request with a body of JSON, or without one.
  public func request(
    _ method: String, _ path: String, _ body: String? = nil, fields: [String] = [], version: String = "1.1"
  ) {
    request(method, path, bytes: body.map { Array($0.utf8) }, fields: fields, version: version)
  }

  public func request(
    _ method: String, _ path: String, bytes: [UInt8]?, fields: [String] = [], version: String = "1.1"
  ) {
    var lines = ["\(method) \(path) HTTP/\(version)", "Host: localhost"] + fields
    if let bytes { lines += ["Content-Type: application/json", "Content-Length: \(bytes.count)"] }
    send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + (bytes ?? []))
  }

  /// More bytes; false at the end of the connection.
  private func receive() throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(socket, &buffer, buffer.count, 0)
    guard count >= 0 else {
      if errno == ECONNRESET { return false }
      throw Broken()
    }
    bytes += buffer[..<count]
    return count > 0
  }

  /// All that comes until the other side closes.
  public func rest() throws -> String {
    while try receive() {}
    defer { bytes = [] }
    return String(decoding: bytes, as: UTF8.self)
  }

  public func line() throws -> String {
    while true {
      if let end = bytes.firstIndex(of: 0x0a) {
        let line = String(decoding: bytes[..<end].filter { $0 != 0x0d }, as: UTF8.self)
        bytes.removeFirst(end + 1)
        return line
      }
      guard try receive() else { throw Broken() }
    }
  }

  private func take(_ count: Int) throws -> [UInt8] {
    while bytes.count < count { guard try receive() else { throw Broken() } }
    defer { bytes.removeFirst(count) }
    return Array(bytes[..<count])
  }

  public func head() throws -> Answer {
    var answer = Answer()
    let words = try line().split(separator: " ")
    guard words.count >= 2, let status = Int(words[1]) else { throw Broken() }
    answer.status = status
    while true {
      let line = try line()
      if line.isEmpty { return answer }
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { throw Broken() }
      answer.fields[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
    }
  }

  /// One answer. `hasBody`: as HEAD's has none whatever its length.
  public func answer(hasBody: Bool = true) throws -> Answer {
    var answer = try head()
    guard hasBody, answer.status != 204, answer.status >= 200 else { return answer }
    var body: [UInt8] = []
    if answer.fields["transfer-encoding"] == "chunked" {
      while true {
        guard let size = Int(try line(), radix: 16) else { throw Broken() }
        body += try take(size)
        _ = try line()
        if size == 0 { break }
      }
    } else if let length = answer.fields["content-length"].flatMap({ Int($0) }) {
      body = try take(length)
    } else {
      body = Array(try rest().utf8)
    }
    answer.body = String(decoding: body, as: UTF8.self)
    return answer
  }
}

/// One request on a connection of its own.
public func ask(
  _ port: Int, _ method: String, _ path: String, _ body: String? = nil, fields: [String] = []
) throws -> Client.Answer {
  let client = try Client(port)
  client.request(method, path, body, fields: fields)
  return try client.answer(hasBody: method != "HEAD")
}

/// Waits up to ten seconds for something to become true.
public func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<2000 {
    if condition() { return true }
    usleep(5000)
  }
  return condition()
}
