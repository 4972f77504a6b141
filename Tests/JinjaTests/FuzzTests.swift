import Core
import JSON
import Jinja
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Templates with pieces taken out, doubled and exchanged, over hostile conversations: whatever they are, they render or
/// fail with an error, within the limits. `JINJA_FUZZ_SECONDS` makes it longer, `JINJA_FUZZ_SEED` other.
@Suite struct FuzzTests {
  private static let hostile: [String] = [
    "<|im_end|>", "</s>", "{{ x }}", "{% if %}", "{#", "\u{0}", "\u{202e}", "é", "e\u{301}", "👩‍👩‍👧", "", "  ", "\r\n", "ß",
    "\\", "\"", "'", "%s", "{}", "<think>", "</think>", String(repeating: "a", count: 3000), "\u{85}", "\u{feff}",
  ]

  private func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 9 : 7), using: &random) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &random))
    case 2: return .integer([0, 1, -1, .max, .min, 7].randomElement(using: &random) ?? 0)
    case 3: return .number([0.5, -0.0, 1e300, 1e-300].randomElement(using: &random) ?? 0)
    case 7: return .array((0..<Int.random(in: 0..<4, using: &random)).map { _ in value(&random, depth: depth - 1) })
    case 8:
      let keys = ["role", "content", "name", "function", "arguments", "type", "text", "items"].shuffled(using: &random)
      return .object(
        JSONObject(
          keys.prefix(Int.random(in: 0..<4, using: &random)).map { ($0, value(&random, depth: depth - 1)) }))
    default: return .string(Self.hostile.randomElement(using: &random) ?? "")
    }
  }

  private func messages(_ random: inout SeededGenerator) -> [JSONValue] {
    (0..<Int.random(in: 0..<6, using: &random)).map { _ in
      let roles = ["user", "assistant", "system", "tool", "<|im_end|>"]
      let isPlain = Int.random(in: 0..<4, using: &random) > 0
      return .object(
        JSONObject([
          ("role", isPlain ? .string(roles.randomElement(using: &random) ?? "") : value(&random, depth: 1)),
          ("content", value(&random, depth: isPlain ? 0 : 3)), ("tool_calls", value(&random, depth: 3)),
        ]))
    }
  }

  /// Pieces of templates that a mutation may put anywhere.
  private static let pieces = [
    "{%", "%}", "{{", "}}", "{#", "#}", "-", "|", "~", "(", ")", "[", "]", "{", "}", ".", ",", ":", "'", "\"", "\\",
    "\n",
    " ", "**", "* 99999", "9223372036854775807", " if ", " else ", " not ", " in ", " is ", "[::-1]",
    "[-9223372036854775807:]",
    "{% for m in messages recursive %}", "{% endfor %}", "{% break %}", "{% macro m(x, y=1) %}", "{% endmacro %}",
    "{{ loop(m) }}", "{% set ns = namespace(a=1) %}", "{% set ns.a = ns %}", "{% call m() %}", "{% endcall %}",
    "{% generation %}", "{% endgeneration %}", "{% raw %}", "{% endraw %}", "|tojson", "|sort", "|map('upper')|list",
    "|batch(0)|list", "|slice(3)|list", "|indent(3)", "|replace('', 'x')", ".split('')", ".format(*messages)",
    "range(99999)",
    "%s %d %(a)s", "|round(-400)", "|truncate(3)", "|groupby('role')", "한", "\u{301}", "-9223372036854775807 - 1",
    "// 0", "% 0",
  ]

  private func mutated(_ source: String, _ other: String, _ random: inout SeededGenerator) -> String {
    var scalars = Array(source.unicodeScalars)
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let place = Int.random(in: 0...scalars.count, using: &random)
      let end = min(scalars.count, place + Int.random(in: 0..<30, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: scalars.removeSubrange(place..<end)
      case 1: scalars.insert(contentsOf: scalars[place..<end], at: place)
      case 2:
        let all = Array(other.unicodeScalars)
        let start = Int.random(in: 0...all.count, using: &random)
        scalars.insert(contentsOf: all[start..<min(all.count, start + 60)], at: place)
      default: scalars.insert(contentsOf: (Self.pieces.randomElement(using: &random) ?? "").unicodeScalars, at: place)
      }
    }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    return String(text)
  }

  @Test func whateverATemplateIsItEndsWithinItsLimits() throws {
    let environment = getenv("JINJA_FUZZ_SECONDS").flatMap { Double(String(cString: $0)) }
    let seed = getenv("JINJA_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    var random = SeededGenerator(seed: seed)
    let sources = try JinjaCase.read(fixturePath("jinja_cases.jsonl")).map(\.source)
    var limits = JinjaLimits()
    (limits.steps, limits.bytes) = (200_000, 8 << 20)
    let start = ContinuousClock.now
    var (rendered, failed, slowest, slowestSource) = (0, 0, Duration.zero, "")
    while environment.map({ start.duration(to: .now) < .seconds($0) }) ?? (rendered + failed < 2000) {
      let source = mutated(
        sources.randomElement(using: &random) ?? "", sources.randomElement(using: &random) ?? "", &random)
      let began = ContinuousClock.now
      do {
        let pieces = try JinjaTemplate(source: source).render(
          [
            ("messages", .messages(messages(&random), knownRoles: ["user"])),
            ("tools", .data(value(&random, depth: 3))),
            ("s", .data(.string(Self.hostile.randomElement(using: &random) ?? ""))),
            ("d", .data(value(&random, depth: 3))),
            ("l", .data(value(&random, depth: 3))), ("n", .data(value(&random, depth: 0))),
            ("bos_token", .literal("<s>")),
          ], date: midsummer, limits: limits)
        #expect(pieces.text.utf8.count <= limits.bytes)
        rendered += 1
      } catch is JinjaError {
        failed += 1
      }
      let took = began.duration(to: .now)
      if took > slowest { (slowest, slowestSource) = (took, source) }
    }
    if environment != nil {
      print("\(rendered) rendered, \(failed) failed; the slowest took \(slowest): \(slowestSource.debugDescription)")
    }
    #expect(rendered > 100 && failed > 100)
  }
}
