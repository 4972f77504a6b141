import Core
import JSON
import Serving
import TestSupport
import Testing

/// HTTP itself: versions, methods, connections that go on, and who is let in.
@Suite struct ProtocolTests {
  @Test func `requests sent ahead of their answers are answered in order`() throws {
    let engine = FakeEngine { request in
      // The first is the slowest.
      .say(["\(request.maxTokens ?? 0)"], pause: request.maxTokens == 1 ? 0.1 : 0)
    }
    try withServer(engine) { port, _ in
      let client = try Client(port)
      client.request("POST", "/v1/chat/completions", chat(#""max_tokens":1"#))
      client.request("POST", "/v1/chat/completions", chat(#""max_tokens":2,"stream":true"#))
      client.request("HEAD", "/health")
      client.request("GET", "/nowhere")
      client.request("POST", "/v1/chat/completions", chat(#""max_tokens":3"#))
      func content(_ answer: Client.Answer) -> String? {
        answer.json?["choices"]?.array?.first?["message"]?["content"]?.string
      }
      #expect(content(try client.answer()) == "1")
      #expect(try client.answer().body.contains(#""content":"2""#))
      let head = try client.answer(hasBody: false)
      #expect(head.status == 200 && head.fields["content-length"] == "18")
      #expect(try client.answer().status == 404)
      #expect(content(try client.answer()) == "3")
    }
  }

  @Test func `thousands of requests sent ahead are answered`() throws {
    try withServer { port, _ in
      let client = try Client(port)
      let count = 3000
      client.send(String(repeating: "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", count: count))
      for _ in 0..<count { #expect(try client.answer().status == 200) }
    }
  }

  @Test func `HTTP 1.0 has streams without chunks, and closes`() throws {
    try withServer { port, _ in
      let client = try Client(port)
      client.request("POST", "/v1/chat/completions", chat(#""stream":true"#), version: "1.0")
      let answer = try client.answer()
      #expect(answer.fields["transfer-encoding"] == nil && answer.fields["connection"] == "close")
      #expect(answer.events.last == "[DONE]")
      let kept = try Client(port)
      kept.request("GET", "/health", fields: ["Connection: keep-alive"], version: "1.0")
      #expect(try kept.answer().fields["connection"] == "keep-alive")
      kept.request("GET", "/health", version: "1.0")
      #expect(try kept.answer().status == 200 && kept.rest() == "")
    }
  }

  @Test func `a connection closes when it is asked to`() throws {
    try withServer { port, _ in
      let client = try Client(port)
      client.request("GET", "/health", fields: ["Connection: close"])
      #expect(try client.answer().fields["connection"] == "close" && client.rest() == "")
      let upgrading = try Client(port)
      upgrading.request("GET", "/health", fields: ["Connection: Upgrade", "Upgrade: h2c"])
      #expect(try upgrading.answer().status == 200 && upgrading.rest() == "")
    }
  }

  @Test func `methods and paths that lead nowhere are told so`() throws {
    try withServer { port, _ in
      let wrong = try ask(port, "GET", "/v1/chat/completions")
      #expect(wrong.status == 405 && wrong.fields["allow"] == "POST, OPTIONS")
      #expect(wrong.json?["error"]?["code"]?.string == "method_not_allowed")
      #expect(try ask(port, "DELETE", "/v1/models/base").fields["allow"] == "GET, HEAD, OPTIONS")
      #expect(try ask(port, "GET", "/v2").json?["error"]?["code"]?.string == "unknown_url")
      #expect(try ask(port, "GET", "/v1/models/%zz").status == 404)
      let options = try ask(port, "OPTIONS", "/v1/models")
      #expect(options.status == 204 && options.fields["allow"] == "GET, HEAD, OPTIONS")
      #expect(options.fields["access-control-allow-origin"] == nil)
      #expect(try ask(port, "HEAD", "/").status == 200)
    }
  }

  @Test func `what is not HTTP is told so`() throws {
    try withServer { port, _ in
      for text in [
        "hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno field\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /health HTTP/1.1\r\n\r\n", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      ] {
        let client = try Client(port)
        client.send(text)
        let answer = try client.answer()
        #expect(answer.status == 400 && answer.json?["error"]?["type"]?.string == "invalid_request_error", "\(text)")
      }
    }
  }

  @Test func `bodies in chunks, and bodies that are waited for`() throws {
    try withServer { port, _ in
      let client = try Client(port)
      let (first, second) = (chatBody.prefix(10), chatBody.dropFirst(10))
      client.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "\(String(first.utf8.count, radix: 16))\r\n\(first)\r\n"
          + "\(String(second.utf8.count, radix: 16))\r\n\(second)\r\n0\r\n\r\n")
      #expect(try client.answer().status == 200)
      client.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
          + "Content-Length: \(chatBody.utf8.count)\r\n\r\n")
      #expect(try client.answer().status == 100)
      client.send(chatBody)
      #expect(try client.answer().status == 200)
    }
  }

  @Test func `keys are asked for`() throws {
    try withServer(FakeEngine(), { $0.apiKeys = ["first-key", "second"] }) { port, _ in
      let missing = try ask(port, "GET", "/v1/models")
      #expect(missing.status == 401 && missing.fields["www-authenticate"] == "Bearer")
      #expect(missing.json?["error"]?["code"]?.string == "missing_api_key")
      for field in ["Bearer first", "Bearer first-key2", "Basic second", "Bearer", "Bearer ", "second"] {
        #expect(try ask(port, "GET", "/v1/models", fields: ["Authorization: " + field]).status == 401, "\(field)")
      }
      let wrong = try ask(port, "POST", "/v1/completions", "{}", fields: ["Authorization: Bearer x"])
      #expect(wrong.status == 401 && wrong.json?["error"]?["code"]?.string == "invalid_api_key")
      for field in ["Bearer first-key", "bearer second"] {
        #expect(try ask(port, "GET", "/v1/models", fields: ["Authorization: " + field]).status == 200)
      }
      #expect(try ask(port, "GET", "/metrics").status == 401 && ask(port, "GET", "/nowhere").status == 401)
      #expect(try ask(port, "GET", "/health").status == 200 && ask(port, "GET", "/").status == 200)
    }
  }

  @Test func `pages of others reach nothing unless they are allowed to`() throws {
    func status(_ port: Int, _ fields: [String], method: String = "GET") throws -> Client.Answer {
      let client = try Client(port)
      client.send("\(method) /v1/models HTTP/1.1\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
      return try client.answer()
    }
    try withServer { port, _ in
      for host in ["localhost:\(port)", "127.0.0.1", "[::1]:80", "LOCALHOST", "app.localhost:1", "192.168.0.7:8000"] {
        #expect(try status(port, ["Host: \(host)"]).status == 200, "\(host)")
      }
      for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", ""] {
        #expect(try status(port, ["Host: \(host)"]).status == 403, "\(host)")
      }
      #expect(try status(port, ["Host: localhost:1", "Origin: http://localhost:1"]).status == 200)
      for origin in ["http://localhost:2", "http://evil.example", "null", "file://"] {
        #expect(try status(port, ["Host: localhost:1", "Origin: \(origin)"]).status == 403, "\(origin)")
      }
      let form = try Client(port)
      form.send(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")
      #expect(try form.answer().status == 415)
    }
    let change = { (settings: inout ServerSettings) in
      settings.allowedOrigins = ["https://good.example"]
      settings.allowedHosts = ["models.example"]
    }
    try withServer(FakeEngine(), change) { port, _ in
      let answer = try status(port, ["Host: models.example:80", "Origin: https://good.example"])
      #expect(answer.status == 200 && answer.fields["access-control-allow-origin"] == "https://good.example")
      #expect(answer.fields["vary"] == "Origin")
      let asked = "Access-Control-Request-Headers: authorization, x-stainless-os"
      let options = try status(port, ["Host: localhost", "Origin: https://good.example", asked], method: "OPTIONS")
      #expect(options.status == 204)
      #expect(options.fields["access-control-allow-headers"] == "authorization, x-stainless-os")
      #expect(options.fields["access-control-allow-methods"] == "GET, HEAD, OPTIONS")
      #expect(try status(port, ["Host: localhost", "Origin: https://bad.example"], method: "OPTIONS").status == 403)
    }
  }
}
