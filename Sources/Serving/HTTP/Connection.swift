import NIOCore
import NIOHTTP1

/// One connection: reads a request, has it answered, reads the next. Lives on its event loop.
///
/// While a request is being answered nothing more is read, so that a client that sends requests ahead of their answers
/// waits; what the parser has found by then is kept in `inputs`. A client that closes its side of the connection is taken
/// to have gone, since nothing else tells it from one that has: what it asked for is cancelled at once.
final class Connection: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  enum Phase {
    /// Nothing of a request is here, or only bytes that have come with the one before.
    case waiting
    /// Part of its fields.
    case fields
    /// Its fields, and part of its body.
    case body
    /// It is whole.
    case responding
    /// So is its answer, but the client has not taken it all.
    case flushing
    /// The answer has been taken and nothing follows: waits for the client to close. Closing with bytes unread would make
    /// the system take back an answer that has not been read.
    case lingering
    case closed
  }

  private enum Input {
    case part(HTTPServerRequestPart)
    case fault(HTTPParserError)
  }

  /// Bytes of requests kept while another is answered.
  private static let inputLimit = 1 << 20
  private static let lingerSeconds = 2.0

  let server: ServerState
  var phase = Phase.waiting
  var request: RequestInProgress?
  var exchange: Exchange?
  /// The next of this connection's requests, so that what comes late is not taken for another's answer.
  var requestNumber = 0
  private(set) var context: ChannelHandlerContext?
  /// One connection too many, which is told so.
  private(set) var isSurplus = false

  private var inputs = CircularBuffer<Input>()
  private var inputBytes = 0
  private var isTakingInputs = false
  private var isReadWanted = false
  private var deadline: Scheduled<Void>?

  init(_ server: ServerState) { self.server = server }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelActive(context: ChannelHandlerContext) {
    let open = server.opened(context.channel)
    let limit = server.settings.connections
    isSurplus = open > limit
    // There are not even so many that each could be told.
    if open > limit + min(limit, 64) {
      close()
    } else {
      setDeadline(isSurplus ? server.settings.headerSeconds : server.settings.idleSeconds)
    }
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    server.closed(context.channel)
    phase = .closed
    deadline?.cancel()
    inputs.removeAll()
    exchange?.abandon()
    exchange = nil
    endRequest(status: 499)
    context.fireChannelInactive()
  }

  // MARK: - Reading

  func bytesArrived() {
    guard phase == .waiting else { return }
    phase = .fields
    setDeadline(server.settings.headerSeconds)
  }

  func read(context: ChannelHandlerContext) {
    if phase == .responding || phase == .flushing { isReadWanted = true } else { context.read() }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    switch phase {
    case .lingering, .closed: break
    case .responding, .flushing:
      keep(.part(part), bytes: Self.size(part))
    default:
      if inputs.isEmpty { take(part) } else { keep(.part(part), bytes: Self.size(part)) }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch phase {
    case .lingering, .closed: break
    case .responding, .flushing:
      if let fault = error as? HTTPParserError { keep(.fault(fault), bytes: 0) } else { close() }
    default:
      if let fault = error as? HTTPParserError { refuse(fault) } else { close() }
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard let event = event as? StopEvent else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    switch event {
    case .finish: if phase == .waiting { close() }
    case .giveUp:
      if let exchange { exchange.fail(.unavailable("The server is stopping.")) } else { close() }
    }
  }

  private func keep(_ input: Input, bytes: Int) {
    inputBytes += bytes
    inputs.append(input)
    if inputBytes > Self.inputLimit { close() }
  }

  private static func size(_ part: HTTPServerRequestPart) -> Int {
    switch part {
    case .head(let head):
      head.headers.reduce(head.uri.utf8.count + 64) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    case .body(let bytes): bytes.readableBytes
    case .end: 0
    }
  }

  private func take(_ part: HTTPServerRequestPart) {
    switch part {
    case .head(let head): begin(head)
    case .body(let bytes): append(bytes)
    case .end: if phase == .body { answer() }
    }
  }

  private func refuse(_ fault: HTTPParserError) {
    // The client has gone in the middle of a request.
    if fault == .invalidEOFState {
      close()
      return
    }
    if fault == .headerOverflow {
      respond(.invalid("The request's fields are too large.", nil, status: 431), closing: true)
    } else {
      respond(.invalid("The request is not HTTP/1.1 as it should be.", nil), closing: true)
    }
  }

  // MARK: - From one request to the next

  /// An answer has been taken by the client.
  func flushed(keepsAlive: Bool) {
    guard phase == .flushing, let context else { return }
    guard keepsAlive, !server.isStopping else {
      phase = .lingering
      setDeadline(Self.lingerSeconds)
      context.close(mode: .output, promise: nil)
      if isReadWanted { readAgain(context) }
      return
    }
    phase = .waiting
    setDeadline(server.settings.idleSeconds)
    takeInputs()
    if phase != .responding, phase != .flushing, isReadWanted { readAgain(context) }
  }

  private func readAgain(_ context: ChannelHandlerContext) {
    isReadWanted = false
    context.read()
  }

  /// In a loop rather than from each answer's end: a client may have sent thousands of requests ahead.
  private func takeInputs() {
    guard !isTakingInputs else { return }
    isTakingInputs = true
    defer { isTakingInputs = false }
    while phase != .responding, phase != .flushing, phase != .lingering, phase != .closed, let input = inputs.popFirst()
    {
      switch input {
      case .part(let part):
        inputBytes -= Self.size(part)
        take(part)
      case .fault(let fault): refuse(fault)
      }
    }
  }

  func close() {
    guard phase != .closed else { return }
    context?.close(promise: nil)
  }

  // MARK: - Time limits

  func setDeadline(_ seconds: Double) {
    deadline?.cancel()
    guard let loop = context?.eventLoop else { return }
    deadline = loop.assumeIsolated().scheduleTask(in: .milliseconds(Int64((seconds * 1000).rounded(.up)))) {
      [weak self] in
      self?.deadlinePassed()
    }
  }

  private func deadlinePassed() {
    switch phase {
    case .fields, .body:
      respond(APIError(408, "timeout_error", "The request did not arrive in time."), closing: true)
    case .responding:
      let error = APIError(504, "timeout_error", "The request took longer than this server allows.")
      if let exchange { exchange.fail(error) } else { respond(error, closing: true) }
    case .waiting, .flushing, .lingering: close()
    case .closed: break
    }
  }
}
