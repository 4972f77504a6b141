import Core
import JSON

/// Members of OpenAI's and vLLM's requests that this server has no use for: some change nothing that is computed, others
/// are harmless as long as they have the value that asks for nothing. Whatever else a request holds is refused by name,
/// so that nothing is computed otherwise than asked.
struct NeutralParameters {
  private enum Rule {
    case anything
    case only(JSONValue)
    case empty
    case text
    case textFormat
    case nothing
  }

  private let rules: [String: Rule]

  static let chat = NeutralParameters(
    common.merging([
      "add_special_tokens": .only(.bool(false)), "chat_template_kwargs": .empty, "modalities": .text,
      "parallel_tool_calls": .only(.bool(true)), "response_format": .textFormat, "functions": .empty,
      "function_call": .nothing, "audio": .nothing, "prediction": .nothing, "reasoning_effort": .nothing,
      "verbosity": .nothing, "web_search_options": .nothing, "best_of": .only(.integer(1)),
    ]) { $1 })

  static let completions = NeutralParameters(
    common.merging(["suffix": .only(.string("")), "add_special_tokens": .only(.bool(true))]) { $1 })

  static let adapters = NeutralParameters(["lora_int_id": .anything])

  private static let common: [String: Rule] = [
    // These change nothing that is computed.
    "user": .anything, "metadata": .anything, "store": .anything, "safety_identifier": .anything,
    "prompt_cache_key": .anything, "prompt_cache_retention": .anything, "service_tier": .anything,
    "request_id": .anything,
    // These would.
    "frequency_penalty": .only(.integer(0)), "presence_penalty": .only(.integer(0)), "logit_bias": .empty,
    "echo": .only(.bool(false)), "min_tokens": .only(.integer(0)), "ignore_eos": .only(.bool(false)),
    "stop_token_ids": .empty, "include_stop_str_in_output": .only(.bool(false)),
    "skip_special_tokens": .only(.bool(true)), "spaces_between_special_tokens": .only(.bool(true)),
    "use_beam_search": .only(.bool(false)), "length_penalty": .only(.integer(1)),
    "early_stopping": .only(.bool(false)), "priority": .only(.integer(0)), "response_format": .textFormat,
    "return_tokens_as_token_ids": .only(.bool(false)), "return_token_ids": .only(.bool(false)),
  ]

  private init(_ rules: [String: Rule]) { self.rules = rules }

  func check(_ name: String, _ value: JSONValue) throws(APIError) {
    guard let rule = rules[name] else {
      throw .invalid("\(Core.quoted(name)) is not known to this server.", name, code: "unknown_parameter")
    }
    guard !Self.isNeutral(value, rule) else { return }
    let only: String
    switch rule {
    case .only(let value): only = "; only \(value.serialized), which asks for nothing, is accepted"
    case .textFormat: only = " other than {\"type\":\"text\"}"
    case .text: only = " other than [\"text\"]"
    default: only = ""
    }
    throw .invalid("'\(name)' is not supported by this server\(only).", name, code: "unsupported_parameter")
  }

  private static func isNeutral(_ value: JSONValue, _ rule: Rule) -> Bool {
    switch rule {
    case .anything: return true
    case .nothing: return false
    case .empty: return value.array?.isEmpty ?? value.object.map { $0.count == 0 } ?? false
    case .text: return value == .array([.string("text")])
    case .textFormat: return value == .object(JSONObject([("type", .string("text"))]))
    case .only(let neutral):
      if let number = neutral.double { return value.double == number }
      return value == neutral
    }
  }
}
