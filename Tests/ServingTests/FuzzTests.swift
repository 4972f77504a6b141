import Core
import JSON
import Serving
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Requests with members taken out, doubled and exchanged, and bytes of them changed: whatever they are, they are answered
/// with 200, or refused with an error in OpenAI's shape. `SERVING_FUZZ_SECONDS` makes it longer, `SERVING_FUZZ_SEED` other.
@Suite struct FuzzTests {
  private static let names = [
    "model", "messages", "prompt", "n", "stop", "temperature", "top_p", "top_k", "min_p", "seed", "max_tokens",
    "stream",
    "stream_options", "logprobs", "top_logprobs", "tools", "tool_choice", "best_of", "logit_bias", "response_format",
    "max_completion_tokens", "user", "functions", "repetition_penalty", "role", "content", "é", "",
  ]

  private func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
    switch random.below(depth > 3 ? 6 : 9) {
    case 0: return .null
    case 1: return .bool(random.below(2) == 0)
    case 2: return .integer([0, 1, -1, 2, 20, 1 << 31, .max, .min][random.below(8)])
    case 3: return .number([0.5, -0.0, 1e308, 1e-308, 2, 1.0][random.below(6)])
    case 4: return .string(["base", "tuned", "user", "text", "auto", "\u{0}", "\u{202e}", ""][random.below(8)])
    case 5: return .string(String(repeating: "x", count: random.below(50)))
    case 6: return .array((0..<random.below(4)).map { _ in value(&random, depth: depth + 1) })
    case 7:
      let message: [(key: String, value: JSONValue)] = [
        ("role", .string("user")), ("content", value(&random, depth: depth + 1)),
      ]
      return .array([.object(JSONObject(message))])
    default:
      let members = (0..<random.below(4)).map { _ in
        (key: Self.names[random.below(Self.names.count)], value: value(&random, depth: depth + 1))
      }
      return .object(JSONObject(members))
    }
  }

  private func body(_ random: inout SeededGenerator, isChat: Bool) -> [UInt8] {
    var members: [(key: String, value: JSONValue)] = [("model", .string("base"))]
    let messages: [(key: String, value: JSONValue)] = [("role", .string("user")), ("content", .string("Hi"))]
    members.append(isChat ? ("messages", .array([.object(JSONObject(messages))])) : ("prompt", .string("Hi")))
    for _ in 0..<random.below(4) {
      members.append((Self.names[random.below(Self.names.count)], value(&random, depth: 0)))
    }
    if random.below(4) == 0 { members.swapAt(0, random.below(members.count)) }
    if random.below(6) == 0 { members.remove(at: random.below(members.count)) }
    // Names that come twice are what a parser must notice.
    if random.below(10) > 0 {
      var seen: Set<String> = []
      members = members.reversed().filter { seen.insert($0.key).inserted }.reversed()
    }
    var bytes = Array(JSONValue.object(JSONObject(members)).serialized.utf8)
    if random.below(4) == 0 {
      for _ in 0...random.below(3) where !bytes.isEmpty {
        let place = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        default: bytes.insert(contentsOf: bytes[..<place].suffix(5), at: place)
        }
      }
    }
    return bytes
  }

  private func variable(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

  @Test func `whatever comes is answered or refused`() throws {
    let seconds = variable("SERVING_FUZZ_SECONDS")
    var random = SeededGenerator(seed: variable("SERVING_FUZZ_SEED") ?? 1)
    let end = time(nil) + Int(seconds ?? 0)
    var answered = 0
    var count = 0
    try withServer(FakeEngine(), { $0.sequencesPerRequest = 8 }) { port, _ in
      let client = try Client(port)
      while seconds == nil ? count < 4000 : time(nil) < end {
        let isChat = random.below(2) == 0
        let body = body(&random, isChat: isChat)
        client.request("POST", isChat ? "/v1/chat/completions" : "/v1/completions", bytes: body)
        let answer = try client.answer()
        count += 1
        if answer.status == 200 {
          answered += 1
        } else {
          let text = String(decoding: body, as: UTF8.self)
          #expect(answer.status == 400 || answer.status == 404, "\(text): \(answer.body)")
          #expect(answer.json?["error"]?["type"]?.string == "invalid_request_error", "\(text): \(answer.body)")
        }
      }
    }
    if seconds != nil { print("\(answered) answered, \(count - answered) refused") }
    #expect(answered > count / 20 && answered < count)
  }
}
