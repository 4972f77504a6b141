import Core
import JSON

/// A request to `/v1/chat/completions` or `/v1/completions`, read and checked.
struct CompletionCall: Sendable, Equatable {
  enum Kind: Sendable {
    case chat
    case text
  }

  var kind: Kind
  var model: String
  var isStreamed = false
  /// A stream ends with a chunk that holds the usage.
  var includesUsage = false
  /// One for each prompt; they differ in nothing else.
  var requests: [CompletionRequest] = []

  /// Choices of each prompt.
  var choicesPerPrompt: Int { requests.first?.choices ?? 1 }
  var choiceCount: Int { requests.count * choicesPerPrompt }
  var wantsLogProbabilities: Bool { requests.first?.logProbabilities != nil }

  /// At most so many alternatives to a token are told.
  static let likeliestLimit = 20

  /// `client` names the other side. At most `sequenceLimit` prompts times choices are taken.
  init(_ kind: Kind, _ body: JSONValue, client: String, sequenceLimit: Int) throws(APIError) {
    guard let object = body.object else {
      throw .invalid("The request's body must be a JSON object, but is \(body.kind).", nil)
    }
    var fields = RequestFields(object)
    self.kind = kind
    model = try fields.required("model")
    var request = CompletionRequest(model: model, prompt: .text(""))
    request.clientName = client
    request.choices = try fields.integer("n", 1...sequenceLimit) ?? 1
    try Self.readSampling(&fields, &request)
    request.stop = try Self.readStop(&fields)
    let prompts: [CompletionRequest.Prompt]
    switch kind {
    case .chat:
      prompts = [try Self.readConversation(&fields)]
      request.maxTokens = try Self.readChatLimit(&fields)
      request.logProbabilities = try Self.readChatLogProbabilities(&fields)
    case .text:
      prompts = try Prompts.read(fields.value("prompt"))
      request.maxTokens = try fields.integer("max_tokens", 1...Int.max)
      request.logProbabilities = try fields.integer("logprobs", 0...Self.likeliestLimit)
      if let best = try fields.integer("best_of", 1...Int.max), best != request.choices {
        throw .invalid(
          "'best_of' other than 'n' is not supported by this server.", "best_of", code: "unsupported_parameter")
      }
    }
    let (sequences, overflow) = prompts.count.multipliedReportingOverflow(by: request.choices)
    guard !overflow, sequences <= sequenceLimit else {
      let name = kind == .chat ? "n" : "prompt"
      throw .invalid(
        "\(prompts.count) prompts with \(request.choices) choices each are more than the \(sequenceLimit) sequences "
          + "that one request may ask for.", name)
    }
    try readStreaming(&fields)
    try fields.refuseOthers(kind == .chat ? .chat : .completions)
    requests = prompts.map { prompt in
      var one = request
      one.prompt = prompt
      return one
    }
  }

  private mutating func readStreaming(_ fields: inout RequestFields) throws(APIError) {
    isStreamed = try fields.bool("stream") ?? false
    guard let options = fields.value("stream_options") else { return }
    guard let object = options.object else { throw RequestFields.wrongKind("stream_options", "an object", options) }
    guard isStreamed else {
      throw .invalid("'stream_options' is for streamed answers only.", "stream_options")
    }
    for (name, value) in object.members where !value.isNull {
      let place = "stream_options.\(name)"
      guard let isOn = value.bool else { throw RequestFields.wrongKind(place, "true or false", value) }
      switch name {
      case "include_usage": includesUsage = isOn
      // Padding against those who listen to lengths changes nothing that is computed.
      case "include_obfuscation": break
      default:
        if name == "continuous_usage_stats", !isOn { break }
        throw .invalid("\(Core.quoted(place)) is not supported by this server.", place, code: "unsupported_parameter")
      }
    }
  }

  private static func readSampling(
    _ fields: inout RequestFields, _ request: inout CompletionRequest
  ) throws(APIError) {
    request.temperature = try fields.number("temperature", 0...2)
    request.topP = try fields.number("top_p", 0...1, excludesLowest: true)
    // 0 and -1 say that there is no such limit.
    if let topK = try fields.integer("top_k", -1...Int.max), topK > 0 { request.topK = topK }
    request.minP = try fields.number("min_p", 0...1)
    request.repetitionPenalty = try fields.number("repetition_penalty", 0...100, excludesLowest: true)
    request.seed = try fields.integer("seed", Int.min...Int.max).map { UInt64(bitPattern: Int64($0)) }
  }

  private static func readStop(_ fields: inout RequestFields) throws(APIError) -> [String] {
    guard let value = fields.value("stop") else { return [] }
    let values = value.array ?? [value]
    var texts: [String] = []
    for value in values {
      guard let text = value.string else {
        throw RequestFields.wrongKind("stop", "a string or an array of strings", value)
      }
      guard !text.isEmpty else { throw .invalid("'stop' must not hold an empty string.", "stop") }
      texts.append(text)
    }
    guard texts.count <= 4 else { throw .invalid("'stop' may hold at most 4 strings, but has \(texts.count).", "stop") }
    return texts
  }

  private static func readConversation(_ fields: inout RequestFields) throws(APIError) -> CompletionRequest.Prompt {
    let messages = try Messages.read(fields.value("messages"))
    let tools = fields.value("tools")
    if let tools {
      guard let list = tools.array else { throw RequestFields.wrongKind("tools", "an array", tools) }
      for (index, tool) in list.enumerated() where tool.object == nil {
        throw RequestFields.wrongKind("tools[\(index)]", "an object", tool)
      }
    }
    let hasTools = tools?.array?.isEmpty == false
    // A template shows tools or does not; it forces and forbids nothing.
    if let choice = fields.value("tool_choice"), choice.string != "auto", choice.string != "none" || hasTools {
      throw .invalid(
        "'tool_choice' other than \"auto\" is not supported by this server.", "tool_choice",
        code: "unsupported_parameter")
    }
    let goesOn = try fields.bool("continue_final_message") ?? false
    if let adds = try fields.bool("add_generation_prompt"), adds == goesOn {
      throw .invalid(
        "'add_generation_prompt' and 'continue_final_message' say different things.", "add_generation_prompt")
    }
    return .conversation(messages, tools: hasTools ? tools : nil, goesOn: goesOn)
  }

  private static func readChatLimit(_ fields: inout RequestFields) throws(APIError) -> Int? {
    let older = try fields.integer("max_tokens", 1...Int.max)
    let newer = try fields.integer("max_completion_tokens", 1...Int.max)
    if let older, let newer, older != newer {
      throw .invalid("'max_tokens' and 'max_completion_tokens' say different things.", "max_tokens")
    }
    return newer ?? older
  }

  private static func readChatLogProbabilities(_ fields: inout RequestFields) throws(APIError) -> Int? {
    let isWanted = try fields.bool("logprobs") ?? false
    let likeliest = try fields.integer("top_logprobs", 0...likeliestLimit)
    if let likeliest, likeliest > 0, !isWanted {
      throw .invalid("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    }
    return isWanted ? likeliest ?? 0 : nil
  }
}
