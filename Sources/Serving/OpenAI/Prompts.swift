import JSON

/// The `prompt` of `/v1/completions`: a string, an array of strings, an array of token ids, or an array of such arrays.
enum Prompts {
  static func read(_ value: JSONValue?) throws(APIError) -> [CompletionRequest.Prompt] {
    guard let value else { throw .invalid("'prompt' is missing.", "prompt", code: "missing_required_parameter") }
    if let text = value.string { return [.text(text)] }
    guard let elements = value.array else {
      throw RequestFields.wrongKind("prompt", "a string or an array", value)
    }
    guard let first = elements.first else { throw .invalid("'prompt' must not be empty.", "prompt") }
    var prompts: [CompletionRequest.Prompt] = []
    switch first {
    case .integer: return [.tokens(try tokens(elements, "prompt"))]
    case .string:
      for (index, element) in elements.enumerated() {
        guard let text = element.string else {
          throw RequestFields.wrongKind("prompt[\(index)]", "a string, as the first is", element)
        }
        prompts.append(.text(text))
      }
    case .array:
      for (index, element) in elements.enumerated() {
        let place = "prompt[\(index)]"
        guard let ids = element.array else {
          throw RequestFields.wrongKind(place, "an array of token ids, as the first is", element)
        }
        guard !ids.isEmpty else { throw .invalid("'\(place)' must not be empty.", place) }
        prompts.append(.tokens(try tokens(ids, place)))
      }
    default: throw RequestFields.wrongKind("prompt[0]", "a string, a token id or an array of token ids", first)
    }
    return prompts
  }

  private static func tokens(_ values: [JSONValue], _ place: String) throws(APIError) -> [Int32] {
    var tokens: [Int32] = []
    tokens.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      guard let number = value.int, let token = Int32(exactly: number), token >= 0 else {
        throw .invalid("'\(place)[\(index)]' must be a token id, an integer in 0 ... 2147483647.", "\(place)[\(index)]")
      }
      tokens.append(token)
    }
    return tokens
  }
}
