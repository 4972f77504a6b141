import Core
import NIOCore
import NIOHTTP1

extension Connection {
  func respond(_ error: APIError, closing: Bool = false) {
    request?.entry.failure = error.detail ?? error.message
    var response = Response(error)
    if error.status == 405, let route = request?.route { response.fields.append(("Allow", route.allowedMethods)) }
    respond(response, closing: closing)
  }

  /// Gives an answer; nothing where there is one already. `closing`: the connection ends with it.
  func respond(_ response: Response, closing: Bool = false) {
    guard phase != .flushing, phase != .lingering, phase != .closed else { return }
    exchange?.abandon()
    exchange = nil
    let keepsAlive = !closing && canKeepAlive
    var head = head(response.status, keepsAlive: keepsAlive)
    for (name, value) in response.fields { head.headers.add(name: name, value: value) }
    if response.status != 204 {
      head.headers.add(name: "Content-Type", value: response.type)
      head.headers.add(name: "Content-Length", value: String(response.body.utf8.count))
    }
    let isBodyWanted = request?.head.method != .HEAD && response.status != 204
    endRequest(status: response.status)
    write(.head(head))
    if isBodyWanted { write(text: response.body) }
    end(keepsAlive: keepsAlive)
  }

  /// Begins an answer of events.
  func openStream() {
    var head = head(200, keepsAlive: canKeepAlive)
    head.headers.add(name: "Content-Type", value: "text/event-stream; charset=utf-8")
    head.headers.add(name: "Cache-Control", value: "no-cache")
    write(.head(head))
  }

  /// Sends one event, or, where the client has left too many lying, gives it up.
  func send(event: String) {
    guard phase == .responding, let context else { return }
    write(text: "data: \(event)\n\n")
    context.flush()
    guard !context.channel.isWritable else { return }
    request?.entry.failure =
      "the client did not read, and more than \(byteCount(server.settings.pendingBytes)) were waiting for it"
    exchange?.abandon()
    exchange = nil
    close()
  }

  /// Ends an answer of events.
  func closeStream() {
    guard phase == .responding else { return }
    let keepsAlive = canKeepAlive
    exchange = nil
    endRequest(status: 200)
    end(keepsAlive: keepsAlive)
  }

  /// Only a request that was read to its end leaves the connection where another may begin. A stream has no length, so
  /// that without chunks, which HTTP/1.0 does not know, its end is the connection's.
  private var canKeepAlive: Bool {
    guard phase == .responding, let request, !server.isStopping, !isSurplus else { return false }
    // The parser stops where another protocol has been asked for.
    guard request.head.isKeepAlive, !request.head.headers.contains(name: "upgrade") else { return false }
    return !request.head.version.isBefore1_1 || exchange == nil
  }

  private func head(_ status: Int, keepsAlive: Bool) -> HTTPResponseHead {
    let version = request?.head.version ?? .http1_1
    var head = HTTPResponseHead(version: version, status: HTTPResponseStatus(statusCode: status))
    head.headers.add(name: "Date", value: httpDate(unixTime()))
    head.headers.add(name: "X-Content-Type-Options", value: "nosniff")
    if !keepsAlive {
      head.headers.add(name: "Connection", value: "close")
    } else if version.isBefore1_1 {
      head.headers.add(name: "Connection", value: "keep-alive")
    }
    if let origin = request?.foreignOrigin {
      head.headers.add(name: "Access-Control-Allow-Origin", value: origin)
      head.headers.add(name: "Vary", value: "Origin")
    }
    return head
  }

  private func write(_ part: HTTPServerResponsePart) { context?.write(wrapOutboundOut(part), promise: nil) }

  private func write(text: String) {
    guard let context else { return }
    write(.body(.byteBuffer(context.channel.allocator.buffer(string: text))))
  }

  private func end(keepsAlive: Bool) {
    guard let context else { return }
    phase = .flushing
    setDeadline(server.settings.flushSeconds)
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenSuccess { [weak self] in self?.flushed(keepsAlive: keepsAlive) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
  }

  /// Tells of a request that has been answered, or whose client has gone; nothing where there is none.
  func endRequest(status: Int) {
    guard var request else {
      if status != 499 { server.metrics.answered("", status) }
      return
    }
    self.request = nil
    server.release(request.heldBytes)
    request.entry.status = status
    request.entry.seconds = request.seconds
    server.metrics.answered(request.route?.name ?? "", status)
    server.log(request.entry)
    server.requests.leave()
  }
}
