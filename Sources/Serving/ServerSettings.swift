import Core

/// What a server listens on, whom it answers, and what it bears. Sizes are in bytes, times in seconds.
public struct ServerSettings: Sendable {
  /// An address of this machine or a name for one.
  public var host = "127.0.0.1"
  /// 0 lets the system choose; `CompletionServer.port` says which.
  public var port = 8000

  /// Whoever has one of them is answered; with none, everybody is. What the page at `/` and `/health` show is for all.
  public var apiKeys: [String] = []
  /// Pages of other origins that may use this server from a browser, as `https://example.org`; `*` for all.
  public var allowedOrigins: [String] = []
  /// Names, without ports, under which this server is known besides its address, `localhost` and the machine's name; `*`
  /// for any. A request by another name comes from a page whose name was made to lead here.
  public var allowedHosts: [String] = []
  /// Whether adapters may be loaded and unloaded by request, which lets clients name paths of this machine.
  public var allowsAdapterLoading = false
  /// Whether prompts are handed to the log.
  public var logsPrompts = false

  /// Of one request's body, and of all that are held at a time.
  public var bodyBytes = 4 << 20
  public var allBodiesBytes = 64 << 20
  /// Of a request's line and fields.
  public var headerBytes = 16 << 10
  /// Open at a time; what is beyond is told so and closed.
  public var connections = 256
  /// Waiting for a client's next request.
  public var idleSeconds = 75.0
  /// From a request's first byte to the end of its fields, and from there to the end of its body.
  public var headerSeconds = 10.0
  public var bodySeconds = 30.0
  /// From there to the end of the answer.
  public var requestSeconds = 3600.0
  /// For an answer that is complete to be taken by the client.
  public var flushSeconds = 60.0
  /// Of a streamed answer that a client has not taken; a client that lets more pile up is given up.
  public var pendingBytes = 1 << 20
  /// Prompts times choices of one request.
  public var sequencesPerRequest = 128

  public init() {}

  /// - Throws: `SFTError` of kind `usage` where a value makes no sense.
  public func validate() throws {
    func check(_ isRight: Bool, _ message: String) throws {
      guard isRight else { throw SFTError(.usage, message) }
    }
    try check(!host.isEmpty, "the host to listen on is empty")
    try check((0...65535).contains(port), "port \(port) is not in 0 ... 65535")
    try check(
      apiKeys.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) } },
      "an API key must be visible ASCII characters without spaces, at least one")
    let sizes = [
      bodyBytes, allBodiesBytes, headerBytes, connections, pendingBytes, sequencesPerRequest,
    ]
    try check(sizes.allSatisfy { (1...1 << 40).contains($0) }, "a server's limit must be at least 1 and below 2^40")
    let times = [idleSeconds, headerSeconds, bodySeconds, requestSeconds, flushSeconds]
    try check(
      times.allSatisfy { $0 > 0 && $0 <= 1e7 }, "a server's time limit must be above 0 and at most 10^7 seconds")
  }
}
