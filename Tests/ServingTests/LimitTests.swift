import Core
import JSON
import Serving
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What a server bears, and how it ends.
@Suite struct LimitTests {
  private let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"

  @Test func `bodies that are too long are refused, announced or not`() throws {
    try withServer(FakeEngine(), { $0.bodyBytes = 1000 }) { port, _ in
      let long = chat(#""user":"\#(String(repeating: "x", count: 5000))""#)
      let announced = try ask(port, "POST", "/v1/chat/completions", long)
      #expect(announced.status == 413 && announced.json?["error"]?["code"]?.string == "request_too_large")
      let client = try Client(port)
      client.send(head + "Transfer-Encoding: chunked\r\n\r\n1000\r\n" + String(repeating: " ", count: 4096))
      #expect(try client.answer().status == 413 && client.rest() == "")
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).status == 200)
    }
  }

  @Test func `a client that goes on sending still reads why it was refused`() throws {
    try withServer(FakeEngine(), { $0.bodyBytes = 1000 }) { port, _ in
      let client = try Client(port)
      client.send(head + "Content-Length: 3000000\r\n\r\n")
      client.send(String(repeating: "x", count: 3_000_000))
      #expect(try client.answer().status == 413)
    }
  }

  @Test func `bodies of all requests together have a limit`() throws {
    let engine = FakeEngine { _ in .hold }
    try withServer(engine, { $0.allBodiesBytes = 150 }) { port, _ in
      let first = try Client(port)
      first.request("POST", "/v1/chat/completions", chat(#""user":"\#(String(repeating: "x", count: 40))""#))
      #expect(eventually { engine.requests.count == 1 })
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).status == 503)
      engine.release()
      #expect(try first.answer().status == 200)
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).status == 200)
    }
  }

  @Test func `fields that are too large are refused`() throws {
    let many = (0..<400).map { number in "X\(number): 1" }
    try withServer(FakeEngine(), { $0.headerBytes = 2000 }) { (port, _) throws in
      #expect(try ask(port, "GET", "/health", fields: ["X: " + String(repeating: "a", count: 3000)]).status == 431)
      #expect(try ask(port, "GET", "/health?" + String(repeating: "a", count: 3000)).status == 431)
      #expect(try ask(port, "GET", "/health", fields: many).status == 431)
      #expect(try ask(port, "GET", "/health", fields: ["X: " + String(repeating: "a", count: 1000)]).status == 200)
    }
  }

  @Test func `slow requests are given up`() throws {
    let change = { (settings: inout ServerSettings) in
      (settings.headerSeconds, settings.bodySeconds, settings.idleSeconds) = (0.2, 0.2, 0.4)
    }
    try withServer(FakeEngine(), change) { port, _ in
      let slowHead = try Client(port)
      slowHead.send("GET /health HTTP/1.1\r\n")
      let slowBody = try Client(port)
      slowBody.send(head + "Content-Length: 10\r\n\r\n{")
      let silent = try Client(port)
      let idle = try Client(port)
      idle.request("GET", "/health")
      #expect(try slowHead.answer().status == 408 && slowHead.rest() == "")
      #expect(try slowBody.answer().status == 408 && slowBody.rest() == "")
      #expect(try silent.rest() == "")
      #expect(try idle.answer().status == 200 && idle.rest() == "")
    }
  }

  @Test func `a request that takes too long is cancelled`() throws {
    let engine = FakeEngine { _ in .hold }
    try withServer(engine, { $0.requestSeconds = 1 }) { port, _ in
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).status == 504)
      let stream = try ask(port, "POST", "/v1/chat/completions", chat(#""stream":true"#))
      #expect(stream.status == 200 && stream.events.count == 2)
      #expect(try parsed(stream.events[1])["error"]?["type"]?.string == "timeout_error")
      #expect(eventually { engine.isIdle && engine.cancelled == 2 })
    }
  }

  @Test func `connections have a limit`() throws {
    try withServer(FakeEngine(), { $0.connections = 2 }) { port, _ in
      var clients = try (0..<2).map { _ in try Client(port) }
      for client in clients {
        client.request("GET", "/health")
        #expect(try client.answer().status == 200)
      }
      let surplus = try Client(port)
      surplus.request("GET", "/health")
      let answer = try surplus.answer()
      #expect(answer.status == 503 && answer.fields["connection"] == "close" && answer.fields["retry-after"] == "1")
      clients.removeAll()
      surplus.close()
      #expect(eventually { (try? ask(port, "GET", "/health").status) == 200 })
    }
  }

  @Test func `a client that goes away cancels what it has asked for`() throws {
    let engine = FakeEngine { _ in .hold }
    let log = LogBook()
    try withServer(engine, log: log) { port, _ in
      for (number, members) in [#""stream":true"#, #""stream":false"#].enumerated() {
        let client = try Client(port)
        client.request("POST", "/v1/chat/completions", chat(members))
        #expect(eventually { engine.requests.count == number + 1 })
        client.close()
        #expect(eventually { engine.cancelled == number + 1 && engine.isIdle })
        #expect(eventually { log.entries.count == number + 1 } && log.entries.last?.status == 499)
      }
    }
  }

  @Test func `a client that does not read is given up`() throws {
    let engine = FakeEngine { _ in .flood(String(repeating: "x", count: 20_000)) }
    let log = LogBook()
    try withServer(engine, log: log, { $0.pendingBytes = 100_000 }) { port, _ in
      let client = try Client(port, receiveBuffer: 4096)
      client.request("POST", "/v1/chat/completions", chat(#""stream":true"#))
      #expect(eventually { engine.cancelled == 1 && engine.isIdle })
      #expect(eventually { log.entries.count == 1 })
      #expect(log.entries.last?.failure?.contains("did not read") == true && log.entries.last?.status == 499)
    }
  }

  @Test func `an answer that is not taken ends its connection`() throws {
    let engine = FakeEngine { _ in .say([String(repeating: "x", count: 12_000_000)]) }
    let change = { (settings: inout ServerSettings) in settings.flushSeconds = 0.3 }
    try withServer(engine, change) { port, _ in
      let client = try Client(port, receiveBuffer: 4096)
      client.request("POST", "/v1/chat/completions", chatBody)
      #expect(eventually { (try? ask(port, "GET", "/metrics").body.contains("sft_http_connections 1\n")) == true })
    }
    // A client that reads gets all of it, whatever may be pending of a stream.
    try withServer(engine, { $0.pendingBytes = 1000 }) { (port, _) throws in
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).body.utf8.count > 12_000_000)
    }
  }

  @Test func `stopping lets what runs finish and takes nothing new`() throws {
    let engine = FakeEngine { _ in .hold }
    try withServer(engine) { port, server in
      let (running, idle, fresh) = (try Client(port), try Client(port), try Client(port))
      running.request("POST", "/v1/chat/completions", chatBody)
      idle.request("GET", "/health")
      #expect(try idle.answer().body == #"{"status":"ready"}"#)
      #expect(eventually { engine.requests.count == 1 })
      fresh.send("GET /health HTTP/1.1\r\nHost: localhost\r\n")
      usleep(100_000)
      let stopped = BackgroundTask<Void>()
      stopped.start { server.stop(within: 20) }
      #expect(try idle.rest() == "")
      fresh.send("\r\n")
      let health = try fresh.answer()
      #expect(health.status == 503 && health.body == #"{"status":"stopping"}"#)
      let refused = try ask(port, "POST", "/v1/chat/completions", chatBody)
      #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
      engine.release()
      let answer = try running.answer()
      #expect(answer.status == 200 && answer.fields["connection"] == "close" && answer.body.contains("late"))
      running.close()
      try stopped.wait()
      #expect(throws: (any Error).self) { try Client(port) }
    }
  }

  @Test func `stopping does not wait for ever`() throws {
    let engine = FakeEngine { _ in .hold }
    try withServer(engine) { port, server in
      let (whole, stream) = (try Client(port), try Client(port))
      whole.request("POST", "/v1/chat/completions", chatBody)
      stream.request("POST", "/v1/chat/completions", chat(#""stream":true"#))
      #expect(try stream.head().status == 200)
      #expect(eventually { engine.requests.count == 2 })
      let stopped = BackgroundTask<Void>()
      stopped.start { server.stop(within: 0.1) }
      #expect(try whole.answer().status == 503)
      #expect(try stream.rest().contains("The server is stopping."))
      whole.close()
      stream.close()
      try stopped.wait()
      #expect(engine.cancelled == 2)
    }
  }

  @Test func `settings that make no sense are refused`() {
    let changes: [(inout ServerSettings) -> Void] = [
      { $0.port = 65536 }, { $0.bodyBytes = 0 }, { $0.idleSeconds = .nan }, { $0.apiKeys = [""] },
      { $0.apiKeys = ["a b"] }, { $0.host = "" }, { $0.connections = -1 },
    ]
    for change in changes {
      var settings = ServerSettings()
      change(&settings)
      #expect(throws: SFTError.self) { try CompletionServer(FakeEngine(), settings) }
    }
  }

  @Test func `a port that is taken is told`() throws {
    try withServer { port, _ in
      var settings = ServerSettings()
      settings.port = port
      let error = #expect(throws: SFTError.self) { try CompletionServer(FakeEngine(), settings) }
      #expect(error?.message == "cannot listen on '127.0.0.1', port \(port): Address already in use")
    }
  }
}
