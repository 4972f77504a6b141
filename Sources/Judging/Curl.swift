import Core
import Glibc

/// What a server answered.
public struct HTTPResponse: Sendable, Equatable {
  public var status: Int
  public var body: [UInt8]
  /// Seconds that the server asks to wait before the next request.
  public var retryAfter: Double?

  public init(status: Int, body: [UInt8], retryAfter: Double? = nil) {
    self.status = status
    self.body = body
    self.retryAfter = retryAfter
  }
}

/// No answer came, or none that could be read; in words, without a full stop.
public struct HTTPFailure: Error, Sendable, Equatable {
  public var reason: String
}

/// HTTP requests by the program `curl`: encryption, proxies and certificates as the machine has them, and nothing linked
/// into this program for the one verb that needs a network.
///
/// The request, its secrets too, reaches curl on its standard input, so that no list of processes shows them.
public struct Curl: Sendable {
  /// Longest time for a request, in seconds, and longest answer, in bytes.
  public var timeout: Double
  public var largestAnswer: Int

  public init(timeout: Double, largestAnswer: Int = 4 << 20) {
    self.timeout = timeout
    self.largestAnswer = largestAnswer
  }

  public static var isInstalled: Bool {
    (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(separator: ":")
      .contains { access("\($0)/curl", X_OK) == 0 }
  }

  /// Posts JSON and returns whatever the server answers; redirects are not followed.
  ///
  /// Throws `HTTPFailure` where no answer came in time.
  public func post(_ json: String, to url: String, key: String?) throws -> HTTPResponse {
    var lines = [
      "url = \(Self.quoted(url))", "request = \"POST\"", "header = \"Content-Type: application/json\"",
      // Without it curl would ask before it sends a long body.
      "header = \"Expect:\"", "data-raw = \(Self.quoted(json))", "max-time = \(timeout)", "proto = \"=http,https\"",
      "silent", "show-error", "write-out = \"\\n%{http_code} %header{retry-after}\"",
    ]
    if let key { lines.append("header = \(Self.quoted("Authorization: Bearer \(key)"))") }
    let (code, output, errors) = try run(lines.joined(separator: "\n") + "\n")
    guard code == 0 else {
      let text = String(decoding: errors, as: UTF8.self)
      let reason = text.split(separator: "\n").first.map(String.init) ?? "curl ended with \(code)"
      throw HTTPFailure(reason: (code == Self.couldNotConnect ? refusal(of: url) : nil) ?? reason)
    }
    return try Self.response(output)
  }

  private static let couldNotConnect: Int32 = 7

  /// What the system says of a connection, such as "connection refused": curl tells it to those only who want to hear all,
  /// headers among it, so that the key is left out. nil where it now says nothing.
  private func refusal(of url: String) -> String? {
    let lines = [
      "url = \(Self.quoted(url))", "head", "verbose", "silent", "max-time = \(min(timeout, 10))",
      "proto = \"=http,https\"",
    ]
    guard let errors = try? run(lines.joined(separator: "\n") + "\n").errors else { return nil }
    let words = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
      .filter { $0.hasPrefix("* connect to ") }.last?.split(separator: " failed: ").last
    return words.map { $0.prefix(1).lowercased() + $0.dropFirst() }
  }

  /// The body, a line feed, the status, and perhaps how long to wait.
  private static func response(_ output: [UInt8]) throws -> HTTPResponse {
    let end = output.lastIndex(of: UInt8(ascii: "\n")) ?? output.startIndex
    let trailer = String(decoding: output[end...], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard let status = trailer.first.flatMap({ Int($0) }), status > 0 else {
      throw HTTPFailure(reason: "the server's answer is not HTTP")
    }
    let wait = trailer.count > 1 ? Double(trailer[1]) : nil
    return HTTPResponse(status: status, body: Array(output[..<end]), retryAfter: wait)
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

  /// Runs curl with a configuration on its standard input.
  private func run(_ configuration: String) throws -> (code: Int32, output: [UInt8], errors: [UInt8]) {
    // A socket, because writing to one that curl has closed need not be a signal.
    let input = try Self.pair { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, $0) }
    defer { close(input.0) }
    let output = try Self.pair(pipe)
    defer { close(output.0) }
    let errors = try Self.pair(pipe)
    defer { close(errors.0) }
    let child = try Self.spawn(input: input.1, output: output.1, errors: errors.1)
    for descriptor in [input.1, output.1, errors.1] { close(descriptor) }
    var bytes = Array(configuration.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { send(input.0, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { break }
      bytes = bytes.dropFirst(count)
    }
    shutdown(input.0, Int32(SHUT_WR))
    let answer = Self.read(output.0, limit: largestAnswer)
    if answer == nil { kill(child, SIGKILL) }
    let message = Self.read(errors.0, limit: 1 << 16)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard let answer else { throw HTTPFailure(reason: "the answer is longer than \(byteCount(largestAnswer))") }
    return (status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f, answer, message ?? [])
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
        advice: "Install curl: a judge is asked through it")
    }
    return child
  }

  /// All that comes; nil where it is more than `limit` bytes.
  private static func read(_ descriptor: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return bytes }
      bytes += buffer[..<count]
      if bytes.count > limit { return nil }
    }
  }
}
