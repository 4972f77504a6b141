import Files
import Foundation
import JSON
import Synchronization

/// An HTTP server on a free port of this machine that does, request by request, what it is told: also what no server should.
public final class MisbehavingServer: Sendable {
  public enum Behaviour: Sendable {
    /// A chat completion whose text is this.
    case reply(String)
    case status(Int, headers: String)
    /// Whatever, sent as it is, and then closed.
    case raw(String)
    case bytes([UInt8])
    case silence(seconds: Double)
    /// More than anybody wants to read.
    case flood
  }

  public struct Request: Sendable {
    public var head: String
    public var body: String
  }

  public let port: Int
  private let listener: Int32
  private let script: @Sendable (Int, Request) -> Behaviour
  private let received = Mutex<[Request]>([])

  public var requests: [Request] { received.withLock { $0 } }
  public var url: String { "http://127.0.0.1:\(port)/v1" }

  /// `script` is given the request's number, from 0.
  public init(_ script: @escaping @Sendable (Int, Request) -> Behaviour) throws {
    self.script = script
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard bound else { throw systemError("listen", "127.0.0.1") }
    self.listener = listener
    port = Int(UInt16(bigEndian: address.sin_port))
    let thread = Thread { [self] in serve() }
    thread.start()
  }

  /// Ends the thread, which then closes the socket: its number may not be another's while anybody still accepts from it.
  public func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve() {
    while true {
      let connection = accept(listener, nil, nil)
      if connection < 0 {
        close(listener)
        return
      }
      // One that is kept waiting keeps no other waiting.
      let thread = Thread { [self] in
        serve(connection)
        close(connection)
      }
      thread.start()
    }
  }

  private func serve(_ connection: Int32) {
    guard let request = read(connection) else { return }
    let number = received.withLock { requests in
      requests.append(request)
      return requests.count - 1
    }
    answer(connection, script(number, request))
  }

  private func read(_ connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let blank = Array("\r\n\r\n".utf8)
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return nil }
      bytes += buffer[..<count]
      guard bytes.count >= 4, let end = (0...bytes.count - 4).first(where: { bytes[$0..<$0 + 4].elementsEqual(blank) })
      else { continue }
      let head = String(decoding: bytes[..<end], as: UTF8.self)
      let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        .flatMap { Int($0.split(separator: ":")[1].trimmingCharacters(in: .whitespaces)) }
      if bytes.count >= end + 4 + (length ?? 0) {
        return Request(head: head, body: String(decoding: bytes[(end + 4)...], as: UTF8.self))
      }
    }
  }

  private func answer(_ connection: Int32, _ behaviour: Behaviour) {
    switch behaviour {
    case .reply(let text):
      let message = JSONValue.object(JSONObject([("role", .string("assistant")), ("content", .string(text))]))
      let choice = JSONValue.object(JSONObject([("index", .integer(0)), ("message", message)]))
      let body = JSONValue.object(JSONObject([("choices", .array([choice]))])).serialized
      write(connection, "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    case .status(let status, let headers):
      write(connection, "HTTP/1.1 \(status) Hm\r\n\(headers)Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    case .raw(let text): write(connection, text)
    case .bytes(let bytes): write(connection, bytes)
    case .silence(let seconds): Thread.sleep(forTimeInterval: seconds)
    case .flood:
      write(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
      let piece = String(repeating: "x", count: 1 << 16)
      for _ in 0..<128 where !write(connection, piece) { return }
    }
  }

  @discardableResult
  private func write(_ connection: Int32, _ text: String) -> Bool { write(connection, Array(text.utf8)) }

  @discardableResult
  private func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}
