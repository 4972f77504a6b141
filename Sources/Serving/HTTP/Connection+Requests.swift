import Core
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix

extension Connection {
  /// A request's fields are here.
  func begin(_ head: HTTPRequestHead) {
    guard let context else { return }
    phase = .body
    requestNumber += 1
    server.requests.enter()
    var request = RequestInProgress(head, client: Self.name(context.channel.remoteAddress))
    setDeadline(server.settings.bodySeconds)
    do throws(APIError) {
      try admit(&request)
    } catch {
      request.refusal = error
    }
    self.request = request
    if let refusal = request.refusal, request.hasBody {
      // The rest of it is of no use.
      respond(refusal, closing: true)
    } else if request.hasBody, request.expectsContinue {
      let go = HTTPResponseHead(version: .http1_1, status: .continue)
      context.writeAndFlush(wrapOutboundOut(.head(go)), promise: nil)
    }
  }

  /// Decides by its fields whether a request is taken.
  private func admit(_ request: inout RequestInProgress) throws(APIError) {
    let head = request.head
    let route = Route(request.path)
    request.route = route
    if isSurplus { throw .unavailable("This server has as many connections as it bears.") }
    let isAsking = head.method == .OPTIONS
    try server.gate.check(head, needsKey: !isAsking && route?.isFree != true)
    request.foreignOrigin = server.gate.foreignOrigin(head.headers)
    guard let route else {
      throw .invalid("There is nothing at \(quoted(request.path)).", nil, status: 404, code: "unknown_url")
    }
    guard isAsking || head.method.rawValue == route.method || head.method == .HEAD && route.method == "GET" else {
      throw .invalid(
        "\(quoted(head.method.rawValue)) is not for \(route.name), which takes \(route.allowedMethods).", nil,
        status: 405,
        code: "method_not_allowed")
    }
    if let bytes = request.announcedBytes, bytes > server.settings.bodyBytes { throw tooLong }
    guard route.method == "POST", !isAsking else { return }
    if server.isStopping { throw .unavailable("The server is stopping.") }
    if case .adapter = route, !server.settings.allowsAdapterLoading {
      throw .init(403, "permission_error", "This server does not let adapters be loaded or unloaded by request.")
    }
    // Of a form, which any page may send anywhere, no request is made.
    let type = head.headers.first(name: "content-type")?.split(separator: ";").first?.lowercased()
    guard type == nil || type?.split(separator: " ") == ["application/json"] else {
      throw .invalid("The request's body must be 'application/json'.", nil, status: 415, code: "unsupported_media_type")
    }
  }

  private var tooLong: APIError {
    .invalid(
      "The request's body is longer than \(byteCount(server.settings.bodyBytes)).", nil, status: 413,
      code: "request_too_large")
  }

  /// Part of a request's body is here.
  func append(_ bytes: ByteBuffer) {
    guard phase == .body, request != nil else { return }
    let count = bytes.readableBytes
    guard (request?.body.readableBytes ?? 0) + count <= server.settings.bodyBytes else {
      respond(tooLong, closing: true)
      return
    }
    guard server.hold(count) else {
      respond(.unavailable("This server has too many requests in its memory."), closing: true)
      return
    }
    request?.heldBytes += count
    request?.body.writeImmutableBuffer(bytes)
  }

  /// A request is whole.
  func answer() {
    guard let request else { return }
    phase = .responding
    setDeadline(server.settings.requestSeconds)
    if let refusal = request.refusal {
      respond(refusal)
      return
    }
    guard let route = request.route else { return }
    if request.head.method == .OPTIONS {
      respond(.options(route, asked: request.head.headers, isForeign: request.foreignOrigin != nil))
      return
    }
    switch route {
    case .page: respond(ServedPage.shared.response)
    case .health: respond(.health(isStopping: server.isStopping))
    case .metrics:
      let text = server.metrics.text(server.engine.statistics)
      respond(Response(type: "text/plain; version=0.0.4; charset=utf-8", body: text))
    case .models: respond(Response(body: ModelList.json(server.engine.models)))
    case .model(let id):
      if let model = server.engine.models.first(where: { $0.id == id }) {
        respond(Response(body: ModelList.json(model)))
      } else {
        respond(.invalid("There is no model \(quoted(id)).", "model", status: 404, code: "model_not_found"))
      }
    case .completion(let kind): complete(kind, request)
    case .adapter(let loading): changeAdapter(loading: loading, request.body)
    }
  }

  private static func name(_ address: SocketAddress?) -> String {
    guard let address, let host = address.ipAddress else { return "" }
    let port = address.port.map { ":\($0)" } ?? ""
    return (host.contains(":") ? "[\(host)]" : host) + port
  }

  /// A body as JSON.
  static func json(_ body: ByteBuffer) throws -> JSONValue {
    try body.withUnsafeReadableBytes { try parseJSON($0, file: "the request's body") }
  }

  // MARK: - What does not happen at once

  /// Reading a request and queueing it may take a while (a template has to be filled, a text cut into tokens), so other
  /// threads do it.
  private func complete(_ kind: CompletionCall.Kind, _ request: RequestInProgress) {
    guard let loop = context?.eventLoop else { return }
    let exchange = Exchange(self, began: request.began)
    self.exchange = exchange
    let (server, body, client) = (server, request.body, request.entry.client)
    let bound = NIOLoopBound(exchange, eventLoop: loop)
    let submission = NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
      () throws -> (call: CompletionCall, tickets: [CompletionTicket]) in
      let call = try CompletionCall(
        kind, Self.json(body), client: client, sequenceLimit: server.settings.sequencesPerRequest)
      var tickets: [CompletionTicket] = []
      do {
        for (index, request) in call.requests.enumerated() {
          let ticket = try server.engine.submit(request) { event in
            loop.execute { bound.value.take(event, ofPrompt: index) }
          }
          tickets.append(ticket)
        }
      } catch {
        tickets.forEach(server.engine.cancel)
        throw error
      }
      return (call, tickets)
    }
    submission.assumeIsolated().whenComplete { result in
      switch result {
      case .success(let taken): exchange.accepted(taken.call, taken.tickets)
      case .failure(let error): exchange.fail(APIError(error))
      }
    }
  }

  /// On a thread of its own: an adapter's files may be long.
  private func changeAdapter(loading: Bool, _ body: ByteBuffer) {
    guard let loop = context?.eventLoop else { return }
    let (server, number) = (server, requestNumber)
    let bound = NIOLoopBound(self, eventLoop: loop)
    let failure = startThread {
      let response: Result<String, APIError>
      do {
        let call = try AdapterCall(loading: loading, Self.json(body))
        if let folder = call.folder {
          try server.engine.loadAdapter(named: call.name, folder: folder)
        } else {
          try server.engine.unloadAdapter(named: call.name)
        }
        response = .success(call.success)
      } catch {
        var failure = APIError(error)
        if failure.status == 404 {
          (failure.parameter, failure.code) = (loading ? "lora_path" : "lora_name", "not_found")
        }
        response = .failure(failure)
      }
      loop.execute {
        let connection = bound.value
        guard connection.requestNumber == number, connection.phase == .responding else { return }
        switch response {
        case .success(let text): connection.respond(.plain(text))
        case .failure(let error): connection.respond(error)
        }
      }
    }
    if failure != 0 { respond(.unavailable("This server has no thread for that.")) }
  }
}
