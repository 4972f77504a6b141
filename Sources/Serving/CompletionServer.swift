import Core
import Dispatch
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// An HTTP server that answers as OpenAI's does, for an engine that generates: `/v1/models`, `/v1/chat/completions`,
/// `/v1/completions`, a page for people at `/`, `/health` and `/metrics`. It answers until `stop` is called.
public final class CompletionServer: Sendable {
  private let state: ServerState
  private let listener: any Channel
  /// The port that it listens on.
  public let port: Int

  /// Listens from here on. `log` is called for each request, from several threads, and must return soon.
  ///
  /// - Throws: `SFTError` of kind `usage` for settings that make no sense, `inputOutput` where it cannot listen.
  public init(
    _ engine: any CompletionEngine, _ settings: ServerSettings,
    log: @escaping @Sendable (ServerLogEntry) -> Void = { _ in }
  ) throws {
    try settings.validate()
    let state = ServerState(engine, settings, log)
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderListSize = settings.headerBytes
    limits.maxHeaderFieldSize = min(settings.headerBytes, limits.maxHeaderFieldSize)
    let (limit, waterMark) = (
      limits,
      ChannelOptions.Types.WriteBufferWaterMark(low: max(1, settings.pendingBytes / 2), high: settings.pendingBytes)
    )
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.writeBufferWaterMark, value: waterMark)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let connection = Connection(state)
          let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop, limitConfiguration: limit)
          try channel.pipeline.syncOperations.addHandlers([
            HTTPResponseEncoder(), Arrivals(connection), ByteToMessageHandler(decoder), connection,
          ])
        }
      }
    do {
      listener = try bootstrap.bind(host: settings.host, port: settings.port).wait()
    } catch {
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      throw SFTError(.inputOutput, "cannot listen on \(quoted(settings.host)), port \(settings.port): \(reason)")
    }
    guard let port = listener.localAddress?.port else {
      throw SFTError(.internalError, "the socket that is listened on has no port")
    }
    self.state = state
    self.port = port
  }

  /// Takes no more requests, lets those that run finish for at most so many seconds, then cancels what is left and closes.
  /// Until then `/health` says 503 and new requests are refused. Not to be called from a thread that the engine needs to
  /// go on.
  public func stop(within seconds: Double) {
    guard state.beginStopping() else { return }
    tellAll(.finish)
    let patience = DispatchTimeInterval.milliseconds(Int(min(max(seconds, 0), 1e6) * 1000))
    if state.requests.wait(timeout: .now() + patience) == .timedOut { tellAll(.giveUp) }
    try? listener.close().wait()
    // What was answered last is still on its way to its clients.
    for _ in 0..<250 where !state.channels.isEmpty { usleep(10_000) }
    for channel in state.channels { try? channel.close().wait() }
  }

  private func tellAll(_ event: StopEvent) {
    for channel in state.channels { channel.pipeline.fireUserInboundEventTriggered(event) }
  }
}
