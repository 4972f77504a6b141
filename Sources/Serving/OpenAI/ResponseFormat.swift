import JSON

/// Tokens of all prompts and choices of a request.
struct Usage: Equatable {
  var promptTokens = 0
  var cachedTokens = 0
  var generatedTokens = 0

  var json: JSONValue {
    .object(
      JSONObject([
        ("prompt_tokens", .integer(promptTokens)), ("completion_tokens", .integer(generatedTokens)),
        ("total_tokens", .integer(promptTokens + generatedTokens)),
        ("prompt_tokens_details", .object(JSONObject([("cached_tokens", .integer(cachedTokens))]))),
      ]))
  }
}

/// Writes answers as OpenAI's clients read them, whole and in chunks.
struct ResponseFormat {
  let kind: CompletionCall.Kind
  let model: String
  let includesUsage: Bool
  let wantsLogProbabilities: Bool
  let id: String
  /// Seconds since 1970.
  let created: Int

  init(_ call: CompletionCall, number: UInt64, created: Int) {
    kind = call.kind
    model = call.model
    includesUsage = call.includesUsage
    wantsLogProbabilities = call.wantsLogProbabilities
    let digits = String(number, radix: 16)
    id = (kind == .chat ? "chatcmpl-" : "cmpl-") + String(repeating: "0", count: 16 - digits.count) + digits
    self.created = created
  }

  private typealias Members = [(key: String, value: JSONValue)]

  private func envelope(_ choices: [JSONValue], usage: Usage?, isChunk: Bool) -> String {
    let object =
      switch kind {
      case .chat: isChunk ? "chat.completion.chunk" : "chat.completion"
      case .text: "text_completion"
      }
    var members: Members = [
      ("id", .string(id)), ("object", .string(object)), ("created", .integer(created)), ("model", .string(model)),
      ("choices", .array(choices)),
    ]
    if let usage {
      members.append(("usage", usage.json))
    } else if isChunk, includesUsage {
      members.append(("usage", .null))
    }
    return JSONValue.object(JSONObject(members)).serialized
  }

  private func choice(_ index: Int, _ content: Members, _ probabilities: JSONValue, _ reason: FinishReason?)
    -> JSONValue
  {
    let rest: Members = [
      ("logprobs", probabilities), ("finish_reason", reason.map { .string($0.rawValue) } ?? .null),
    ]
    return .object(JSONObject([("index", .integer(index))] + content + rest))
  }

  private func probabilities(_ tokens: [GeneratedToken], offset: inout Int) -> JSONValue {
    guard wantsLogProbabilities else { return .null }
    switch kind {
    case .chat: return .object(JSONObject([("content", .array(tokens.map(TokenTexts.chat)))]))
    case .text: return TokenTexts.completions(tokens, offset: &offset)
    }
  }

  /// The answer as a whole.
  func whole(_ choices: [ChoiceState], usage: Usage) -> String {
    let list = choices.enumerated().map { index, state in
      var offset = 0
      let content: Members =
        switch kind {
        case .chat: [("message", Self.message([("role", .string("assistant")), ("content", .string(state.text))]))]
        case .text: [("text", .string(state.text))]
        }
      return choice(index, content, probabilities(state.tokens, offset: &offset), state.reason)
    }
    return envelope(list, usage: usage, isChunk: false)
  }

  /// The first chunk of a chat's choice; nil at the older endpoint, which has none.
  func opening(_ index: Int) -> String? {
    guard kind == .chat else { return nil }
    let content = Self.message([("role", .string("assistant")), ("content", .string(""))])
    return envelope([choice(index, [("delta", content)], .null, nil)], usage: nil, isChunk: true)
  }

  /// `offset`: see `TokenTexts.completions`.
  func chunk(_ index: Int, _ piece: CompletionPiece, offset: inout Int) -> String {
    let content: Members =
      kind == .chat ? [("delta", Self.message([("content", .string(piece.text))]))] : [("text", .string(piece.text))]
    let told = piece.tokens.isEmpty ? .null : probabilities(piece.tokens, offset: &offset)
    return envelope([choice(index, content, told, nil)], usage: nil, isChunk: true)
  }

  func ending(_ index: Int, _ reason: FinishReason) -> String {
    let content: Members = kind == .chat ? [("delta", Self.message([]))] : [("text", .string(""))]
    return envelope([choice(index, content, .null, reason)], usage: nil, isChunk: true)
  }

  func usageChunk(_ usage: Usage) -> String { envelope([], usage: usage, isChunk: true) }

  private static func message(_ members: Members) -> JSONValue { .object(JSONObject(members)) }
}

/// What has come of a choice so far.
struct ChoiceState {
  /// Text and tokens; empty in a stream, where they are gone already.
  var text = ""
  var tokens: [GeneratedToken] = []
  var reason: FinishReason?
  /// Where the next token stands in the text, in code points.
  var offset = 0
}
