import JSON

/// Log-probabilities in the shapes of the two endpoints.
enum TokenTexts {
  /// `/v1/chat/completions`: an element of `logprobs.content`.
  static func chat(_ token: GeneratedToken) -> JSONValue {
    let likeliest = token.likeliest.map { JSONValue.object(JSONObject(members($0))) }
    return .object(JSONObject(members(token.chosen) + [("top_logprobs", .array(likeliest))]))
  }

  private static func members(_ token: TokenProbability) -> [(key: String, value: JSONValue)] {
    [
      ("token", .string(text(token.bytes, prefix: ""))), ("logprob", .number(finite(token.logProbability))),
      ("bytes", .array(token.bytes.map { .integer(Int($0)) })),
    ]
  }

  /// `/v1/completions`: the object of parallel arrays. `offset` is the place of the first token in the choice's text,
  /// in code points, and afterwards that of the next.
  static func completions(_ tokens: [GeneratedToken], offset: inout Int) -> JSONValue {
    var offsets: [JSONValue] = []
    var likeliest: [JSONValue] = []
    for token in tokens {
      offsets.append(.integer(offset))
      // A character counts where it begins: continuation bytes begin none.
      offset += token.chosen.bytes.count { $0 & 0xc0 != 0x80 }
      likeliest.append(alternatives(token))
    }
    let members: [(key: String, value: JSONValue)] = [
      ("text_offset", .array(offsets)),
      ("token_logprobs", .array(tokens.map { .number(finite($0.chosen.logProbability)) })),
      ("tokens", .array(tokens.map { .string(text($0.chosen.bytes, prefix: "bytes:")) })),
      ("top_logprobs", .array(likeliest)),
    ]
    return .object(JSONObject(members))
  }

  /// The likeliest and, where it is not among them, the chosen one. Of tokens with one text the likeliest is told.
  private static func alternatives(_ token: GeneratedToken) -> JSONValue {
    let isThere = token.likeliest.contains { $0.token == token.chosen.token }
    var members: [(key: String, value: JSONValue)] = []
    var names: Set<[UInt8]> = []
    for one in token.likeliest + (isThere ? [] : [token.chosen]) where names.insert(one.bytes).inserted {
      members.append((text(one.bytes, prefix: "bytes:"), .number(finite(one.logProbability))))
    }
    return .object(JSONObject(members))
  }

  /// A token's text; where its bytes are no whole characters, each as `\xe2` after `prefix`.
  static func text(_ bytes: [UInt8], prefix: String) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    let digits = Array("0123456789abcdef")
    return bytes.reduce(into: prefix) { $0 += "\\x\(digits[Int($1 >> 4)])\(digits[Int($1 & 15)])" }
  }

  /// JSON has no infinity; OpenAI writes this number for it.
  private static func finite(_ logProbability: Double) -> Double {
    logProbability.isFinite ? max(logProbability, -9999) : -9999
  }
}
