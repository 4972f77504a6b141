import Core
import Glibc

/// What is asked of a server.
public struct HTTPRequest: Sendable {
  public enum Method: Sendable, Equatable {
    case get
    /// Posts JSON.
    case post(String)
  }

  public var url: String
  public var method = Method.get
  /// Names and values.
  public var headers: [(name: String, value: String)] = []
  /// Longest time in seconds until there is a connection, and for the whole request; nil where curl's own, or none.
  public var connectTimeout: Double?
  public var timeout: Double?
  /// Seconds without a byte after which the request has failed.
  public var stallTimeout: Double?

  public init(url: String) { self.url = url }
}

/// What a server answers before the body.
public struct HTTPHead: Sendable, Equatable {
  public var status: Int
  /// By their names in small letters; of several with one name the last.
  public var headers: [String: String]

  public init(status: Int, headers: [String: String] = [:]) {
    (self.status, self.headers) = (status, headers)
  }

  /// Seconds that the server asks to wait before the next request; nil where it says nothing, or a date.
  public var retryAfter: Double? { headers["retry-after"].flatMap(Double.init) }
}

/// What a server answered.
public struct HTTPResponse: Sendable, Equatable {
  public var head: HTTPHead
  public var body: [UInt8]

  public init(status: Int, body: [UInt8]) { (head, self.body) = (HTTPHead(status: status), body) }

  fileprivate init(_ head: HTTPHead, _ body: [UInt8]) { (self.head, self.body) = (head, body) }

  public var status: Int { head.status }
}

/// No answer came, or none that could be read to its end; in words, without a full stop.
public struct HTTPFailure: Error, Sendable, Equatable {
  public var reason: String

  public init(reason: String) { self.reason = reason }
}

/// HTTP requests by the program `curl`: encryption, proxies and certificates as the machine has them, and nothing linked
/// into this program for the few verbs that need a network.
///
/// The request, its secrets too, reaches curl on its standard input, so that no list of processes shows them.
public struct Curl: Sendable {
  public init() {}

  public static var isInstalled: Bool {
    (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(separator: ":")
      .contains { access("\($0)/curl", X_OK) == 0 }
  }

  /// Sends a request and returns whatever the server answers; redirects are not followed.
  ///
  /// Throws `HTTPFailure` where no answer came in time, or one of more than `limit` bytes.
  public func send(_ request: HTTPRequest, limit: Int) throws -> HTTPResponse {
    var body: [UInt8] = []
    let head = try send(request) { _, bytes in
      guard body.count + bytes.count <= limit else {
        throw HTTPFailure(reason: "the answer is longer than \(byteCount(limit))")
      }
      body += bytes
    }
    return HTTPResponse(head, body)
  }

  /// Sends a request, hands `piece` the answer's body as it comes, and returns its head; redirects are not followed.
  ///
  /// Throws `HTTPFailure` where no answer came in time. What `piece` throws ends the request and is thrown on.
  public func send(
    _ request: HTTPRequest, piece: (HTTPHead, UnsafeRawBufferPointer) throws -> Void
  ) throws -> HTTPHead {
    var reader = AnswerReader()
    let (code, errors) = try run(Self.configuration(request)) { bytes in try reader.read(bytes, piece) }
    guard code == 0 else {
      let text = String(decoding: errors, as: UTF8.self)
      let reason = text.split(separator: "\n").first.map(String.init) ?? "curl ended with \(code)"
      throw HTTPFailure(reason: (code == Self.couldNotConnect ? refusal(of: request) : nil) ?? reason)
    }
    guard let head = reader.head else { throw HTTPFailure(reason: "the server's answer is not HTTP") }
    return head
  }

  private static func configuration(_ request: HTTPRequest) -> String {
    var lines = [
      "url = \(quoted(request.url))", "proto = \"=http,https\"", "silent", "show-error", "include",
      "suppress-connect-headers",
    ]
    if case .post(let json) = request.method {
      // Without the empty header curl would ask before it sends a long body.
      lines += ["request = \"POST\"", "header = \"Content-Type: application/json\"", "header = \"Expect:\""]
      lines.append("data-raw = \(quoted(json))")
    }
    lines += request.headers.map { "header = \(quoted("\($0.name): \($0.value)"))" }
    if let seconds = request.timeout { lines.append("max-time = \(seconds)") }
    if let seconds = request.connectTimeout { lines.append("connect-timeout = \(seconds)") }
    if let seconds = request.stallTimeout {
      lines += ["speed-limit = 1", "speed-time = \(max(1, Int(seconds.rounded(.up))))"]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let couldNotConnect: Int32 = 7

  /// What the system says of a connection, such as "connection refused": curl tells it to those only who want to hear all,
  /// headers among it, so that the key is left out. nil where it now says nothing.
  private func refusal(of request: HTTPRequest) -> String? {
    let lines = [
      "url = \(Self.quoted(request.url))", "head", "verbose", "silent",
      "max-time = \(min(request.timeout ?? 10, 10))", "proto = \"=http,https\"",
    ]
    guard let errors = try? run(lines.joined(separator: "\n") + "\n", { _ in }).errors else { return nil }
    let words = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
      .filter { $0.hasPrefix("* connect to ") }.last?.split(separator: " failed: ").last
    return words.map { $0.prefix(1).lowercased() + $0.dropFirst() }
  }

  /// A value of a curl configuration file.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": quoted += "\\\\"
      case "\"": quoted += "\\\""
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  // MARK: - The process

  /// Runs curl with a configuration on its standard input; `output` is given what it writes, as it comes.
  private func run(
    _ configuration: String, _ output: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> (code: Int32, errors: [UInt8]) {
    // A socket, because writing to one that curl has closed need not be a signal.
    let input = try Self.pair { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, $0) }
    defer { close(input.0) }
    let results = try Self.pair(pipe)
    defer { close(results.0) }
    let errors = try Self.pair(pipe)
    defer { close(errors.0) }
    // Where the parent ignores it, nobody would hear how curl ended.
    signal(SIGCHLD, SIG_DFL)
    let child = try Self.spawn(input: input.1, output: results.1, errors: errors.1)
    for descriptor in [input.1, results.1, errors.1] { close(descriptor) }
    var status: Int32 = 0
    defer { while waitpid(child, &status, 0) < 0, errno == EINTR {} }
    var bytes = Array(configuration.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.send(input.0, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { break }
      bytes = bytes.dropFirst(count)
    }
    shutdown(input.0, Int32(SHUT_WR))
    do {
      try Self.read(results.0, output)
    } catch {
      kill(child, SIGKILL)
      throw error
    }
    var message: [UInt8] = []
    try Self.read(errors.0) { if message.count < 1 << 16 { message += $0 } }
    while waitpid(child, &status, 0) < 0 {
      guard errno == EINTR else { throw HTTPFailure(reason: "how curl ended is not known") }
    }
    return (status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f, message)
  }

  /// Two descriptors that only those who are given them inherit.
  private static func pair(_ make: (UnsafeMutablePointer<Int32>) -> Int32) throws -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    guard ends.withUnsafeMutableBufferPointer({ $0.baseAddress.map(make) }) == 0 else {
      throw SFTError(.inputOutput, "cannot start curl: \(String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  private static func spawn(input: Int32, output: Int32, errors: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, descriptor) in [(STDIN_FILENO, input), (STDOUT_FILENO, output), (STDERR_FILENO, errors)] {
      posix_spawn_file_actions_adddup2(&actions, descriptor, number)
    }
    // --disable comes first: the user's own configuration file is not read.
    let arguments = ["curl", "--disable", "--config", "-"].map { (text: String) in strdup(text) }
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let result = posix_spawnp(&child, "curl", &actions, nil, arguments + [nil], environ)
    guard result == 0 else {
      throw SFTError(
        result == ENOENT ? .notFound : .inputOutput, "cannot start curl: \(String(cString: strerror(result)))",
        advice: "Install curl: the network is reached through it")
    }
    return child
  }

  /// Hands over all that comes.
  private static func read(_ descriptor: Int32, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return }
      try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }
}

/// Cuts what curl writes with `include` into head and body.
private struct AnswerReader {
  private(set) var head: HTTPHead?
  private var pending: [UInt8] = []
  private static let longestHead = 1 << 18

  mutating func read(
    _ bytes: UnsafeRawBufferPointer, _ piece: (HTTPHead, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if let head { return try piece(head, bytes) }
    pending += bytes
    while head == nil, let end = Self.end(of: pending) {
      let found = try Self.head(pending[..<end])
      pending.removeFirst(end)
      // "Continue" and "early hints" come before the answer.
      if found.status >= 200 { head = found }
    }
    guard let head else {
      if pending.count > Self.longestHead { throw HTTPFailure(reason: "the server's answer begins with no end") }
      return
    }
    if !pending.isEmpty { try pending.withUnsafeBytes { try piece(head, $0) } }
    pending = []
  }

  /// Behind the first empty line.
  private static func end(of bytes: [UInt8]) -> Int? {
    let newline = UInt8(ascii: "\n")
    var start = 0
    while let end = bytes[start...].firstIndex(of: newline) {
      if bytes[start..<end].allSatisfy({ $0 == UInt8(ascii: "\r") }) { return end + 1 }
      start = end + 1
    }
    return nil
  }

  private static func head(_ bytes: ArraySlice<UInt8>) throws -> HTTPHead {
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count >= 2, words[0].hasPrefix("HTTP/"), let status = Int(words[1]), (100..<1000).contains(status)
    else { throw HTTPFailure(reason: "the server's answer is not HTTP") }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      headers[line[..<colon].lowercased()] = String(value)
    }
    return HTTPHead(status: status, headers: headers)
  }
}
