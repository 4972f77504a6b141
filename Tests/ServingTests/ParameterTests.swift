import Core
import JSON
import Serving
import TestSupport
import Testing

/// What requests may hold, and how they are refused.
@Suite struct ParameterTests {
  @Test func `what is asked for reaches the engine`() throws {
    let engine = FakeEngine()
    try withServer(engine) { port, _ in
      let tools = #"[{"type":"function","function":{"name":"f"}}]"#
      let answer = try ask(
        port, "POST", "/v1/chat/completions",
        #"""
        {"model":"tuned","messages":[{"role":"system","content":"Be brief"},
          {"role":"user","name":"Ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],
         "n":3,"stop":["x","y"],"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"repetition_penalty":1.1,
         "seed":-1,"max_completion_tokens":12,"tools":\#(tools),"tool_choice":"auto"}
        """#)
      #expect(answer.status == 200 && answer.json?["choices"]?.array?.count == 3)
      let request = try #require(engine.requests.first)
      var expected = CompletionRequest(
        model: "tuned",
        prompt: .conversation(
          try parsed(
            #"[{"role":"system","content":"Be brief"},{"role":"user","name":"Ann","content":"ab"}]"#),
          tools: try parsed(tools), goesOn: false))
      expected.choices = 3
      expected.stop = ["x", "y"]
      (expected.temperature, expected.topP, expected.topK, expected.minP) = (0.5, 0.9, 40, 0.05)
      (expected.repetitionPenalty, expected.seed, expected.maxTokens) = (1.1, .max, 12)
      expected.clientName = request.clientName
      #expect(request == expected && request.clientName.hasPrefix("127.0.0.1:"))
    }
  }

  @Test func `what is not asked for is the engine's`() throws {
    let engine = FakeEngine()
    try withServer(engine) { port, _ in
      _ = try ask(port, "POST", "/v1/chat/completions", chat(#""temperature":null,"top_k":-1,"stop":null,"n":null"#))
      _ = try ask(port, "POST", "/v1/completions", #"{"model":"base","prompt":""}"#)
      for request in engine.requests {
        #expect(request.temperature == nil && request.topK == nil && request.seed == nil && request.choices == 1)
        #expect(request.stop == [] && request.logProbabilities == nil)
      }
      #expect(engine.requests.map(\.maxTokens) == [nil, nil])
    }
  }

  /// Members of a chat request, and the parameter that the refusal names.
  private static let refused: [(members: String, parameter: String)] = [
    (#""frequency_penalty":0.5"#, "frequency_penalty"), (#""presence_penalty":-1"#, "presence_penalty"),
    (#""logit_bias":{"50256":-100}"#, "logit_bias"), (#""best_of":2"#, "best_of"),
    (#""response_format":{"type":"json_object"}"#, "response_format"),
    (#""tools":[{"type":"function"}],"tool_choice":"required""#, "tool_choice"),
    (#""tools":[{"type":"function"}],"tool_choice":"none""#, "tool_choice"),
    (#""tool_choice":{"type":"function","function":{"name":"f"}}"#, "tool_choice"),
    (#""functions":[{"name":"f"}]"#, "functions"), (#""reasoning_effort":"high""#, "reasoning_effort"),
    (#""max_token":5"#, "max_token"), (#""temperature":2.1"#, "temperature"), (#""temperature":"1""#, "temperature"),
    (#""temperature":-0.1"#, "temperature"), (#""top_p":0"#, "top_p"), (#""top_p":1.01"#, "top_p"),
    (#""top_k":1.5"#, "top_k"), (#""min_p":2"#, "min_p"), (#""repetition_penalty":0"#, "repetition_penalty"),
    (#""seed":1e30"#, "seed"), (#""n":0"#, "n"), (#""n":1000"#, "n"), (#""n":true"#, "n"),
    (#""stop":["a","b","c","d","e"]"#, "stop"), (#""stop":"""#, "stop"), (#""stop":[1]"#, "stop"),
    (#""max_tokens":0"#, "max_tokens"), (#""max_tokens":1,"max_completion_tokens":2"#, "max_tokens"),
    (#""top_logprobs":3"#, "top_logprobs"), (#""logprobs":true,"top_logprobs":21"#, "top_logprobs"),
    (#""logprobs":5"#, "logprobs"), (#""stream_options":{"include_usage":true}"#, "stream_options"),
    (#""stream":true,"stream_options":{"x":true}"#, "stream_options.x"), (#""stream":1"#, "stream"),
    (#""tools":{}"#, "tools"), (#""tools":[1]"#, "tools[0]"), (#""suffix":"x""#, "suffix"),
    (#""min_tokens":3"#, "min_tokens"), (#""ignore_eos":true"#, "ignore_eos"), (#""prompt":"x""#, "prompt"),
    (#""modalities":["text","audio"]"#, "modalities"), (#""parallel_tool_calls":false"#, "parallel_tool_calls"),
    (#""chat_template_kwargs":{"enable_thinking":false}"#, "chat_template_kwargs"), (#""echo":true"#, "echo"),
  ]

  @Test func `what is not supported is refused by name`() throws {
    let engine = FakeEngine()
    try withServer(engine) { port, _ in
      for (members, parameter) in Self.refused {
        let answer = try ask(port, "POST", "/v1/chat/completions", chat(members))
        #expect(answer.status == 400, "\(members)")
        #expect(answer.json?["error"]?["type"]?.string == "invalid_request_error", "\(members)")
        #expect(answer.json?["error"]?["param"]?.string == parameter, "\(members): \(answer.body)")
        #expect(answer.json?["error"]?["message"]?.string?.contains(parameter) == true, "\(members): \(answer.body)")
      }
      #expect(engine.requests.isEmpty)
    }
  }

  @Test func `bodies that are no requests are refused, with the place`() throws {
    let message = #"{"model":"base","messages":"#
    let bodies: [(body: String, parameter: String?, words: String)] = [
      ("", nil, "not valid JSON"), ("{", nil, "not valid JSON"), ("[]", nil, "must be a JSON object"),
      (#"{"model":"base","model":"tuned"}"#, nil, "twice"), (#"{"messages":[]}"#, "model", "missing"),
      (#"{"model":"base"}"#, "messages", "missing"), (message + "[]}", "messages", "empty"),
      (message + "{}}", "messages", "an array"), (message + "[1]}", "messages[0]", "an object"),
      (message + #"[{"content":"x"}]}"#, "messages[0].role", "a string"),
      (message + #"[{"role":"user","content":1}]}"#, "messages[0].content", "a string"),
      (message + #"[{"role":"user","content":[{"type":"image_url"}]}]}"#, "messages[0].content[0].type", "no text"),
      (message + #"[{"role":"user","content":[{"type":"text"}]}]}"#, "messages[0].content[0].text", "a string"),
      (String(repeating: "[", count: 100_000), nil, "nested"),
    ]
    try withServer { port, _ in
      for (body, parameter, words) in bodies {
        let answer = try ask(port, "POST", "/v1/chat/completions", body)
        #expect(answer.status == 400, "\(body.prefix(99))")
        #expect(answer.json?["error"]?["param"]?.string == parameter, "\(body.prefix(99)): \(answer.body)")
        #expect(answer.json?["error"]?["message"]?.string?.contains(words) == true, "\(answer.body)")
      }
      for prompt in [#"[]"#, #"[[]]"#, #"[1,"a"]"#, #"["a",1]"#, #"[-1]"#, #"[3000000000]"#, #"[null]"#, "1", "{}"] {
        let answer = try ask(port, "POST", "/v1/completions", #"{"model":"base","prompt":\#(prompt)}"#)
        #expect(answer.status == 400 && answer.body.contains(#""param":"prompt"#), "\(prompt): \(answer.body)")
      }
    }
  }

  @Test func `values that ask for nothing are accepted`() throws {
    try withServer { port, _ in
      let members = [
        #""frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"best_of":1,"response_format":{"type":"text"}"#,
        #""user":"me","metadata":{"a":"b"},"store":true,"service_tier":"auto","tools":[],"tool_choice":"none""#,
        #""parallel_tool_calls":true,"modalities":["text"],"functions":null,"anything":null,"echo":false"#,
        #""min_tokens":0,"stop_token_ids":[],"skip_special_tokens":true,"top_k":0,"logprobs":false,"top_logprobs":0"#,
        #""max_tokens":5,"max_completion_tokens":5,"stop":[]"#,
      ]
      for members in members {
        let answer = try ask(port, "POST", "/v1/chat/completions", chat(members))
        #expect(answer.status == 200, "\(members): \(answer.body)")
      }
      let answer = try ask(
        port, "POST", "/v1/completions", #"{"model":"base","prompt":"x","n":2,"best_of":2,"suffix":"","echo":false}"#)
      #expect(answer.status == 200, "\(answer.body)")
    }
  }
}
