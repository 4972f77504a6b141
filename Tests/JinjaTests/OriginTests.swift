import Core
import JSON
import Jinja
import Testing

/// Where each run of a rendering comes from, written as `template|[0:data]|[-:data of no message]`, `*` in a generation.
@Suite struct OriginTests {
  private func render(_ source: String) throws -> String {
    let message = JSONValue.object(
      JSONObject([
        ("role", .string("user")), ("content", .string("  Data, data\nß ")),
        ("calls", .array([.object(JSONObject([("n", .integer(1)), ("city", .string("서울"))]))])),
      ]))
    let pieces = try JinjaTemplate(source: source).render(
      [
        ("messages", .messages([message, message], knownRoles: ["user"])), ("bos_token", .literal("<s>")),
        ("tools", .data(.array([.string("tool")]))),
      ], date: midsummer)
    return pieces.map { piece in
      let mark = piece.inGeneration ? "*" : ""
      switch piece.origin {
      case .template: return mark + piece.text
      case .data(let message): return "\(mark)[\(message.map { "\($0)" } ?? "-"):\(piece.text)]"
      }
    }.joined(separator: "|")
  }

  @Test(arguments: [
    ("{{ bos_token }}{{ messages[1].role }}", "<s>user"),
    ("{{ '<' + messages[0].content | trim + '>' }}", "<|[0:Data, data\nß]|>"),
    ("{{ 'a' ~ messages[1].content[2:6] ~ tools[0] ~ 1 }}", "a|[1:Data]|[-:tool]|1"),
    ("{{ messages[0].content.split(',')[1].upper() }}", "[0: DATA\nSS ]"),
    ("{{ messages[0].content.strip().replace('data', bos_token) }}", "[0:Data, ]|<s>|[0:\nß]"),
    ("{{ 'x-y'.replace('-', messages[1].content.split()[0]) }}", "x|[1:Data,]|y"),
    ("{{ [messages[0].role, tools[0], messages[1].content.strip()[0]] | join('+') }}", "user+|[-:tool]|+|[1:D]"),
    ("{{ messages[1].calls | tojson }}", "[1:[{\"n\": 1, \"city\": \"서울\"}]]"),
    ("{{ {'k': messages[0].calls[0].city} | tojson }}", "{\"k\": |[0:\"서울\"]|}"),
    ("{{ messages[0].calls }}", "[0:[{'n': 1, 'city': '서울'}]]"),
    ("{% set x %}<{{ tools[0] }}>{% endset %}{{ x[1:] }}", "[-:tool]|>"),
    ("{% macro m(a) %}({{ a }}){% endmacro %}{{ m(messages[1].content | trim | first) ~ '!' }}", "(|[1:D]|)!"),
    ("{% for c in tools[0] %}{{ c }}.{% endfor %}", "[-:t]|.|[-:o]|.|[-:o]|.|[-:l]|."),
    ("a{% generation %}b{{ tools[0] }}{% endgeneration %}c", "a|*b|*[-:tool]|c"),
    ("{% set x %}{% generation %}g{% endgeneration %}h{% endset %}{{ 'a' ~ x }}", "a|*g|h"),
    ("{{ '%s=%r' % (tools[0], 'q') }}{{ '{}!'.format(tools[0]) }}", "[-:tool]|='q'|[-:tool]|!"),
    ("{{ tools[0] * 2 }}{{ tools[0][::-1] }}{{ tools[0] | title }}", "[-:tooltoollootTool]"),
    ("{% filter indent(2, true) %}{{ tools[0] }}\nx{% endfilter %}", "  |[-:tool]|\n  x"),
  ])
  func originsGoThroughEveryOperation(source: String, expected: String) throws {
    #expect(try render(source) == expected)
  }
}
