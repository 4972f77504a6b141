import Core
import Files
import Foundation
import Serving
import TestSupport
import Testing

/// The page for people, and what is told of the server itself.
@Suite struct PageTests {
  @Test func `the page is whole, and its policy lets nothing else run`() throws {
    try withServer { port, _ in
      let answer = try ask(port, "GET", "/")
      #expect(answer.status == 200 && answer.fields["content-type"] == "text/html; charset=utf-8")
      #expect(!answer.body.contains("{{") && answer.body.hasSuffix("</html>\n"))
      // Nothing is loaded from anywhere, and what models say is never read as HTML.
      for word in [
        "http://", "https://", "src=", "@import", "innerHTML", "insertAdjacentHTML", "document.write", "eval(",
      ] {
        #expect(!answer.body.contains(word), "\(word)")
      }
      let policy = try #require(answer.fields["content-security-policy"])
      #expect(policy.hasPrefix("default-src 'none';") && !policy.contains("unsafe"))
      for (name, directive) in [("script", "script-src"), ("style", "style-src")] {
        let text = try #require(
          answer.body.components(separatedBy: "<\(name)>").last?.components(separatedBy: "</\(name)>").first)
        let digits = Array(Array(text.utf8).withUnsafeBytes { Digest(of: $0) }.hex)
        let bytes = stride(from: 0, to: 64, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
        #expect(policy.contains("\(directive) 'sha256-\(Data(bytes).base64EncodedString())'"))
      }
    }
  }

  @Test func `metrics are Prometheus' text`() throws {
    let engine = FakeEngine()
    try withServer(engine) { port, _ in
      #expect(try ask(port, "POST", "/v1/chat/completions", chatBody).status == 200)
      #expect(try ask(port, "POST", "/v1/chat/completions", "{").status == 400)
      #expect(try ask(port, "GET", "/made/up/\"}").status == 404)
      let answer = try ask(port, "GET", "/metrics")
      #expect(answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let lines = answer.body.split(separator: "\n").map(String.init)
      for line in [
        #"sft_http_requests_total{route="/v1/chat/completions",status="200"} 1"#,
        #"sft_http_requests_total{route="/v1/chat/completions",status="400"} 1"#,
        #"sft_http_requests_total{route="",status="404"} 1"#, "# TYPE sft_time_to_first_token_seconds histogram",
        #"sft_request_duration_seconds_bucket{le="600"} 1"#, #"sft_request_duration_seconds_bucket{le="+Inf"} 1"#,
        "sft_request_duration_seconds_count 1", "sft_time_to_first_token_seconds_count 1", "sft_requests_running 0",
        "sft_generated_tokens_total 0", "sft_cache_blocks 0",
      ] { #expect(lines.contains(line), "\(line)") }
      let isSample = /[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+/
      for line in lines where !line.hasPrefix("#") { #expect(line.wholeMatch(of: isSample) != nil, "\(line)") }
    }
  }

  @Test func `prompts are logged only where the settings ask for it`() throws {
    for isWanted in [false, true] {
      let log = LogBook()
      try withServer(FakeEngine(), log: log, { $0.logsPrompts = isWanted }) { port, _ in
        _ = try ask(port, "POST", "/v1/chat/completions", chat(#""user":"secret-user""#))
        _ = try ask(port, "POST", "/v1/completions?key=secret-query", #"{"model":"base","prompt":["secret"]}"#)
        _ = try ask(port, "POST", "/v1/completions", #"{"model":"base","prompt":["secret",1]}"#)
        _ = try ask(port, "GET", "/health\u{1b}[2J")
        let entries = log.entries
        try #require(entries.count >= 3)
        #expect(
          entries.map(\.prompt).prefix(2)
            == (isWanted ? [#"[{"role":"user","content":"Hi"}]"#, "secret"] : [nil, nil]))
        let first = entries[0]
        #expect(first.method == "POST" && first.path == "/v1/chat/completions" && first.status == 200)
        #expect(first.model == "base" && first.promptTokens == 7 && first.generatedTokens == 2 && first.failure == nil)
        #expect(first.client.hasPrefix("127.0.0.1:") && first.seconds > 0 && first.seconds < 10)
        #expect(entries[1].path == "/v1/completions" && entries[2].status == 400)
        if !isWanted { #expect(!"\(entries)".contains("secret") && !"\(entries)".contains("\u{1b}")) }
      }
    }
  }
}
