import Core
import JSON
import Serving
import TestSupport
import Testing

/// The answers of both endpoints, to the letter.
@Suite struct EndpointTests {
  private let usage =
    #""usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}"#

  @Test func `chat answers whole`() throws {
    try withServer { port, _ in
      let answer = try ask(port, "POST", "/v1/chat/completions", chatBody)
      #expect(answer.status == 200)
      #expect(answer.fields["content-type"] == "application/json")
      #expect(answer.json?["id"]?.string?.hasPrefix("chatcmpl-") == true)
      #expect(
        withoutStamps(answer.body)
          == #"{"object":"chat.completion","model":"base","choices":[{"index":0,"message":{"role":"assistant","#
          + #""content":"Hello"},"logprobs":null,"finish_reason":"stop"}],\#(usage)}"#)
    }
  }

  @Test func `chat answers in a stream`() throws {
    try withServer { port, _ in
      let answer = try ask(
        port, "POST", "/v1/chat/completions", chat(#""stream":true,"stream_options":{"include_usage":true}"#))
      #expect(answer.status == 200)
      #expect(answer.fields["content-type"] == "text/event-stream; charset=utf-8")
      func chunk(_ delta: String, _ reason: String = "null") -> String {
        #"{"object":"chat.completion.chunk","model":"base","choices":[{"index":0,"delta":\#(delta),"logprobs":null,"#
          + #""finish_reason":\#(reason)}],"usage":null}"#
      }
      #expect(
        answer.events.map(withoutStamps) == [
          chunk(#"{"role":"assistant","content":""}"#), chunk(#"{"content":"Hel"}"#), chunk(#"{"content":"lo"}"#),
          chunk("{}", #""stop""#),
          #"{"object":"chat.completion.chunk","model":"base","choices":[],\#(usage)}"#, "[DONE]",
        ])
      #expect(Set(answer.events.dropLast().map { try? parsed($0)["id"]?.string }).count == 1)
    }
  }

  @Test func `a stream has no usage unless it is asked for`() throws {
    try withServer { port, _ in
      let answer = try ask(port, "POST", "/v1/chat/completions", chat(#""stream":true"#))
      #expect(answer.events.count == 5 && !answer.body.contains("usage"))
    }
  }

  @Test func `chat tells log-probabilities`() throws {
    try withServer { port, _ in
      let answer = try ask(port, "POST", "/v1/chat/completions", chat(#""logprobs":true,"top_logprobs":2"#))
      let other = #"{"token":"\\xe2\\x80","logprob":-2.0,"bytes":[226,128]}"#
      #expect(
        answer.json?["choices"]?.array?[0]["logprobs"]?.serialized
          == #"{"content":[{"token":"Hel","logprob":-0.25,"bytes":[72,101,108],"top_logprobs":"#
          + #"[{"token":"Hel","logprob":-0.25,"bytes":[72,101,108]},\#(other)]},"#
          + #"{"token":"lo","logprob":-0.25,"bytes":[108,111],"top_logprobs":"#
          + #"[{"token":"lo","logprob":-0.25,"bytes":[108,111]},\#(other)]}]}"#)
      let stream = try ask(port, "POST", "/v1/chat/completions", chat(#""stream":true,"logprobs":true"#))
      #expect(
        try parsed(stream.events[1])["choices"]?.array?[0]["logprobs"]?.serialized
          == #"{"content":[{"token":"Hel","logprob":-0.25,"bytes":[72,101,108],"top_logprobs":[]}]}"#)
    }
  }

  @Test func `completions answer whole, with log-probabilities`() throws {
    try withServer { port, _ in
      let answer = try ask(port, "POST", "/v1/completions", #"{"model":"tuned","prompt":"Say","logprobs":2}"#)
      #expect(answer.json?["id"]?.string?.hasPrefix("cmpl-") == true)
      #expect(
        withoutStamps(answer.body)
          == #"{"object":"text_completion","model":"tuned","choices":[{"index":0,"text":"Hello","logprobs":"#
          + #"{"text_offset":[0,3],"token_logprobs":[-0.25,-0.25],"tokens":["Hel","lo"],"top_logprobs":"#
          + #"[{"Hel":-0.25,"bytes:\\xe2\\x80":-2.0},{"lo":-0.25,"bytes:\\xe2\\x80":-2.0}]},"#
          + #""finish_reason":"stop"}],\#(usage)}"#)
    }
  }

  @Test func `completions answer in a stream, offsets going on from chunk to chunk`() throws {
    try withServer { port, _ in
      let answer = try ask(
        port, "POST", "/v1/completions", #"{"model":"base","prompt":"Say","logprobs":0,"stream":true}"#)
      func chunk(_ text: String, _ probabilities: String, _ reason: String = "null") -> String {
        #"{"object":"text_completion","model":"base","choices":[{"index":0,"text":"\#(text)","logprobs":\#(probabilities),"#
          + #""finish_reason":\#(reason)}]}"#
      }
      func told(_ token: String, _ offset: Int) -> String {
        #"{"text_offset":[\#(offset)],"token_logprobs":[-0.25],"tokens":["\#(token)"],"#
          + #""top_logprobs":[{"\#(token)":-0.25}]}"#
      }
      #expect(
        answer.events.map(withoutStamps) == [
          chunk("Hel", told("Hel", 0)), chunk("lo", told("lo", 3)), chunk("", "null", #""stop""#), "[DONE]",
        ])
    }
  }

  @Test func `several prompts and choices are numbered prompt by prompt`() throws {
    let engine = FakeEngine { request in
      if case .text(let text) = request.prompt { .say([text, "!"], reason: .length) } else { .say(["?"]) }
    }
    try withServer(engine) { port, _ in
      let body = #"{"model":"base","prompt":["a","b"],"n":2}"#
      let answer = try ask(port, "POST", "/v1/completions", body)
      let choices = answer.json?["choices"]?.array ?? []
      #expect(choices.map { $0["text"]?.string } == ["a!", "a!", "b!", "b!"])
      #expect(choices.map { $0["index"]?.int } == [0, 1, 2, 3])
      #expect(choices.allSatisfy { $0["finish_reason"]?.string == "length" })
      #expect(
        answer.json?["usage"]?.serialized
          == #"{"prompt_tokens":14,"completion_tokens":8,"total_tokens":22,"prompt_tokens_details":{"cached_tokens":6}}"#
      )
      let stream = try ask(port, "POST", "/v1/completions", body.dropLast() + #","stream":true}"#)
      var texts = ["", "", "", ""]
      for event in stream.events.dropLast() {
        let choice = try parsed(event)["choices"]?.array?.first
        texts[choice?["index"]?.int ?? 0] += choice?["text"]?.string ?? ""
      }
      #expect(texts == ["a!", "a!", "b!", "b!"])
      let tokens = try ask(port, "POST", "/v1/completions", #"{"model":"base","prompt":[[1,2],[3]]}"#)
      #expect(tokens.json?["choices"]?.array?.count == 2)
      #expect(Set(engine.requests.suffix(2).map(\.prompt.description)) == ["[1, 2]", "[3]"])
    }
  }

  @Test func `models are listed and found by name`() throws {
    let base = #"{"id":"base","object":"model","created":1700000000,"owned_by":"sft","root":"base","parent":null}"#
    let tuned = #"{"id":"a/tüned","object":"model","created":1,"owned_by":"sft","root":"base","parent":"base"}"#
    let engine = FakeEngine(models: [
      ServedModel(id: "base", created: 1_700_000_000), ServedModel(id: "a/tüned", base: "base", created: 1),
    ])
    try withServer(engine) { port, _ in
      #expect(try ask(port, "GET", "/v1/models").body == #"{"object":"list","data":[\#(base),\#(tuned)]}"#)
      #expect(try ask(port, "GET", "/v1/models/base").body == base)
      #expect(try ask(port, "GET", "/v1/models/a/t%C3%BCned").body == tuned)
      #expect(try ask(port, "GET", "/v1/models/a%2Ft%c3%bcned?x=1").body == tuned)
      let missing = try ask(port, "GET", "/v1/models/other")
      #expect(missing.status == 404)
      #expect(
        missing.body
          == #"{"error":{"message":"There is no model 'other'.","type":"invalid_request_error","param":"model","#
          + #""code":"model_not_found"}}"#)
    }
  }

  @Test func `adapters come and go where the server was told to allow it`() throws {
    let (load, unload) = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter")
    try withServer { port, _ in
      let answer = try ask(port, "POST", load, #"{"lora_name":"sql","lora_path":"/adapters/sql"}"#)
      #expect(answer.status == 403)
    }
    let engine = FakeEngine()
    try withServer(engine, { $0.allowsAdapterLoading = true }) { port, _ in
      let body = #"{"lora_name":"sql","lora_path":"/adapters/sql"}"#
      let answer = try ask(port, "POST", load, body)
      #expect(answer.status == 200 && answer.body == "Success: LoRA adapter 'sql' added successfully.")
      #expect(engine.folders == ["/adapters/sql"])
      #expect(try ask(port, "POST", load, body).status == 400)
      #expect(try ask(port, "POST", load, #"{"lora_name":"x","lora_path":"none"}"#).status == 400)
      #expect(try ask(port, "POST", load, #"{"lora_name":"x"}"#).json?["error"]?["param"]?.string == "lora_path")
      #expect(try ask(port, "GET", "/v1/models/sql").status == 200)
      #expect(try ask(port, "POST", unload, #"{"lora_name":"sql"}"#).status == 200)
      #expect(try ask(port, "POST", unload, #"{"lora_name":"sql"}"#).status == 404)
      #expect(try ask(port, "POST", unload, #"{"lora_name":"base"}"#).status == 404)
    }
  }

  @Test func `an engine's errors become answers`() throws {
    let engine = FakeEngine { request in
      switch request.maxTokens {
      case 1: .refuse(QueueFull(retryAfter: 7))
      case 2: .refuse(SFTError(.badData, "the prompt is too long"))
      case 3: .tell([.started(promptTokens: 1, cachedTokens: 0), .failed(SFTError(.inputOutput, "/secret is gone"))])
      case 4: .tell([.started(promptTokens: 1, cachedTokens: 0), .completed])
      case 5: .tell([.started(promptTokens: 1, cachedTokens: 0), .text(CompletionPiece(choice: 9, text: "x"))])
      default: .tell([.failed(SFTError(.interrupted, "stopped"))])
      }
    }
    let log = LogBook()
    try withServer(engine, log: log) { port, _ in
      func answer(_ limit: Int, _ more: String = "") throws -> Client.Answer {
        try ask(port, "POST", "/v1/chat/completions", chat(#""max_tokens":\#(limit)\#(more)"#))
      }
      let full = try answer(1)
      #expect(full.status == 429 && full.fields["retry-after"] == "7")
      #expect(full.json?["error"]?["code"]?.string == "queue_full")
      #expect(try answer(2).json?["error"]?["message"]?.string == "The prompt is too long.")
      let failed = try answer(3)
      #expect(failed.status == 500 && !failed.body.contains("secret"))
      #expect(log.entries.last?.failure?.contains("secret") == true)
      #expect(try answer(4).status == 500 && answer(5).status == 500)
      #expect(try answer(6).status == 503)
      let stream = try answer(3, #","stream":true"#)
      #expect(stream.status == 200 && stream.events.count == 2)
      #expect(try parsed(stream.events[1])["error"]?["type"]?.string == "server_error")
      let unknown = try ask(port, "POST", "/v1/completions", #"{"model":"gpt","prompt":"x"}"#)
      #expect(unknown.status == 404 && unknown.json?["error"]?["code"]?.string == "model_not_found")
    }
  }
}

extension CompletionRequest.Prompt {
  /// For comparing.
  fileprivate var description: String {
    if case .tokens(let tokens) = self { "\(tokens)" } else { "\(self)" }
  }
}
