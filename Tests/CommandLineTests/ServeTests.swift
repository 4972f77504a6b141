import Core
import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `sft serve` as clients see it.
@Suite struct ServeTests {
  private static let llama = fixturesFolder + "/llama3-tiny"

  /// Starts a server of the small Llama with an adapter, hands its port to `body`, and ends it by SIGTERM; what it left.
  private static func serving(
    _ sft: SFTBinary, _ arguments: [String] = [], _ body: (_ port: Int, _ server: Running) throws -> Void
  ) throws -> Outcome {
    let server = try sft.start(
      ["serve", "--model", llama + "/model", "--adapter", "tuned=" + llama + "/adapter", "--port", "0", "--json"]
        + arguments)
    defer { if server.process.isRunning { server.process.terminate() } }
    var port: Int?
    #expect(
      eventually {
        let text = (try? readFile(server.outputPath)) ?? []
        port = (try? text.withUnsafeBytes { try parseJSON($0, file: "started") })?["port"]?.int
        return port != nil || !server.process.isRunning
      })
    if let port { try body(port, server) } else { Issue.record("the server did not start") }
    server.process.terminate()
    return try server.finish()
  }

  private static func completion(_ model: String, _ more: String) -> String {
    #"{"model": "\#(model)", "prompt": "Name the fruit", \#(more)}"#
  }

  private static func chat(_ model: String, _ question: String, _ more: String) -> String {
    #"{"model": "\#(model)", "messages": [{"role": "user", "content": "\#(question)"}], \#(more)}"#
  }

  /// Several at once, by base and adapter, greedy and drawn: each answer is that of `sft generate`.
  @Test func answersAreThoseOfGenerate() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      struct Case: Sendable {
        var model: String
        var arguments: [String]
        var more: String
      }
      let cases = [
        Case(model: "model", arguments: ["--base"], more: #""temperature": 0"#),
        Case(model: "tuned", arguments: ["--adapter", Self.llama + "/adapter"], more: #""temperature": 0"#),
        Case(
          model: "tuned",
          arguments: ["--adapter", Self.llama + "/adapter", "--temperature", "1", "--seed", "7", "--top-p", "0.9"],
          more: #""seed": 7, "top_p": 0.9"#),
        Case(
          model: "model", arguments: ["--base", "--temperature", "1.5", "--top-k", "20", "--seed", "3", "--stop", "e"],
          more: #""seed": 3, "temperature": 1.5, "top_k": 20, "stop": ["e"]"#),
      ]
      let expected = try cases.map { known in
        try sft.run(
          [
            "generate", "--model", Self.llama + "/model", "--prompt", "Name the fruit", "--max-new-tokens", "20",
            "--json",
          ]
            + known.arguments
        ).json()["text"]?.string
      }
      _ = try Self.serving(sft) { (port: Int, _: Running) throws -> Void in
        let clients = try (0..<12).map { index in
          let client = try Client(port)
          let known = cases[index % cases.count]
          let isStreamed = index % 3 == 0
          client.request(
            "POST", "/v1/completions",
            Self.completion(known.model, known.more + #", "max_tokens": 20, "stream": \#(isStreamed)"#))
          return client
        }
        for (index, client) in clients.enumerated() {
          let answer = try client.answer()
          #expect(answer.status == 200, "\(answer.body)")
          let text =
            index % 3 == 0
            ? answer.events.dropLast().map { event in
              let value = Array(event.utf8).withUnsafeBytes { try? parseJSON($0, file: "event") }
              return value?["choices"]?.array?.first?["text"]?.string ?? ""
            }.joined()
            : answer.json?["choices"]?.array?.first?["text"]?.string
          #expect(text == expected[index % cases.count], "\(index)")
        }
      }
    }
  }

  @Test func conversationsGoThroughTheTemplate() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      try sft.write(
        #"{"messages": [{"role": "user", "content": "What is red?"}]}"#, to: "question.json")
      let expected = try sft.run(
        "generate", "--model", SFTBinary.model, "--base", "--messages", "question.json", "--template", "alpaca",
        "--max-new-tokens", "12", "--json"
      ).json()
      let server = ["--template", "alpaca"]
      let outcome = try Self.servingTiny(sft, server) { (port: Int) throws -> Void in
        let answer = try ask(
          port, "POST", "/v1/chat/completions",
          Self.chat("tiny", "What is red?", #""temperature": 0, "max_tokens": 12, "n": 2, "logprobs": true"#))
        let choices = answer.json?["choices"]?.array ?? []
        #expect(choices.count == 2, "\(answer.body)")
        for choice in choices {
          #expect(choice["message"]?["content"]?.string == expected["text"]?.string)
          #expect(choice["finish_reason"]?.string == expected["finish_reason"]?.string)
          #expect((choice["logprobs"]?["content"]?.array ?? []).count == (expected["token_ids"]?.array ?? []).count)
        }
        let usage = answer.json?["usage"]
        #expect((usage?["prompt_tokens"]?.int ?? 0) > 10)
        // What was asked once is there.
        let again = try ask(
          port, "POST", "/v1/chat/completions",
          Self.chat("tiny", "What is red?", #""temperature": 0, "max_tokens": 12"#))
        #expect(
          again.json?["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.int
            == (usage?["prompt_tokens"]?.int ?? 0) - 1)
      }
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(!outcome.errors.contains("What is red?"))
    }
  }

  /// The base of GPT-2 alone, under another name.
  private static func servingTiny(
    _ sft: SFTBinary, _ arguments: [String], _ body: (Int) throws -> Void
  ) throws -> Outcome {
    let server = try sft.start(
      ["serve", "--model", SFTBinary.model, "--base", "--served-name", "tiny", "--port", "0", "--json"] + arguments)
    defer { if server.process.isRunning { server.process.terminate() } }
    var port: Int?
    #expect(
      eventually {
        let text = (try? readFile(server.outputPath)) ?? []
        port = (try? text.withUnsafeBytes { try parseJSON($0, file: "started") })?["port"]?.int
        return port != nil || !server.process.isRunning
      })
    try body(try #require(port))
    server.process.terminate()
    return try server.finish()
  }

  @Test func adaptersAreLoadedAndDroppedWhereThatIsAllowed() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      let folder = Self.llama + "/adapter"
      _ = try Self.serving(sft) { (port: Int, _: Running) throws -> Void in
        let refused = try ask(
          port, "POST", "/v1/load_lora_adapter", #"{"lora_name": "b", "lora_path": "\#(folder)"}"#)
        #expect((400..<500).contains(refused.status))
      }
      _ = try Self.serving(sft, ["--allow-adapter-loading"]) { (port: Int, _: Running) throws -> Void in
        func models() throws -> [String] {
          let answer = try ask(port, "GET", "/v1/models")
          return (answer.json?["data"]?.array ?? []).compactMap { $0["id"]?.string }
        }
        func status(_ path: String, _ body: String) throws -> Int { try ask(port, "POST", path, body).status }
        #expect(try models() == ["model", "tuned"])
        let load = #"{"lora_name": "b", "lora_path": "\#(folder)"}"#
        #expect(try status("/v1/load_lora_adapter", load) == 200)
        #expect(try models() == ["model", "tuned", "b"])
        #expect(try status("/v1/load_lora_adapter", load) == 400)
        #expect(try status("/v1/load_lora_adapter", #"{"lora_name": "c", "lora_path": "/nowhere"}"#) == 404)
        let question = Self.completion("b", #""max_tokens": 5, "temperature": 0"#)
        #expect(try status("/v1/completions", question) == 200)
        #expect(try status("/v1/unload_lora_adapter", #"{"lora_name": "b"}"#) == 200)
        #expect(try status("/v1/completions", question) == 404)
        #expect(try status("/v1/unload_lora_adapter", #"{"lora_name": "b"}"#) == 404)
        #expect(try models() == ["model", "tuned"])
      }
    }
  }

  /// SIGTERM lets a running answer come to its end; a new request is told to go elsewhere.
  @Test func stoppingFinishesWhatRuns() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      let outcome = try Self.serving(sft) { (port: Int, server: Running) throws -> Void in
        let client = try Client(port)
        client.request(
          "POST", "/v1/completions", Self.completion("model", #""max_tokens": 60, "temperature": 0, "stream": true"#))
        let head = try client.head()
        #expect(head.status == 200)
        server.process.terminate()
        let rest = try client.rest()
        #expect(rest.contains("data: [DONE]"))
        server.process.waitUntilExit()
      }
      #expect(outcome.code == 0 && outcome.errors.contains("Stopping"), "\(outcome.errors)")
    }
  }

  @Test func keysAreTakenFromTheEnvironment() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      sft.environment["SFT_API_KEY"] = "first-key,second-key"
      _ = try Self.serving(sft) { (port: Int, _: Running) throws -> Void in
        let body = Self.completion("model", #""max_tokens": 2"#)
        #expect(try ask(port, "POST", "/v1/completions", body).status == 401)
        #expect(
          try ask(port, "POST", "/v1/completions", body, fields: ["Authorization: Bearer second-key"]).status == 200)
        #expect(try ask(port, "GET", "/health").status == 200)
      }
    }
  }

  @Test func whatCannotBeServedIsRefused() throws {
    try withSFT { (sft: inout SFTBinary) throws -> Void in
      let model = ["--model", SFTBinary.model]
      func outcome(_ arguments: String...) throws -> Outcome { try sft.run(["serve"] + model + arguments) }
      #expect(try outcome("--base", "--adapter", "a=b").code == 64)
      #expect(try outcome("--adapter", "a=").code == 64)
      #expect(try outcome("--port", "70000", "--base").code == 64)
      #expect(try outcome("--parallel", "0", "--base").code == 64)
      #expect(try outcome("--adapter", "a=/nowhere").code == 66)
      let adapter = SFTBinary.tiny + "/adapter"
      #expect(try outcome("--adapter", "a=" + adapter, "--adapter", "a=" + adapter).code == 64)
      // A port that somebody else listens on.
      let taken = try Self.servingTiny(sft, []) { (port: Int) throws -> Void in
        let second = try outcome("--base", "--port", "\(port)")
        #expect(second.code == 74 && second.errors.contains("cannot listen"))
      }
      #expect(taken.code == 0)
    }
  }
}
