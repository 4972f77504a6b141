import Core
import JSON
import Jinja
import Testing

@Suite struct LimitTests {
  /// A tenth of the usual ones, for the tests' time.
  private var limits: JinjaLimits {
    var limits = JinjaLimits()
    (limits.steps, limits.bytes) = (limits.steps / 10, limits.bytes / 10)
    return limits
  }

  private func error(_ source: String) throws -> JinjaError? {
    do {
      _ = try JinjaTemplate(source: source).render([], date: midsummer, limits: limits)
      return nil
    } catch let error as JinjaError {
      return error
    }
  }

  @Test(arguments: [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{{ range(100001) | list }}", "{{ 'a' * 1000000000000 }}", "{{ [1] * 1000000000000 }}",
    "{{ 'a'.center(10 ** 15) }}",
    "{{ '%1000000000d' % 1 }}", "{{ '{:>1000000000}'.format(1) }}", "{{ 9223372036854775807 + 1 }}", "{{ 10 ** 30 }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == [1] }}{{ ns.l }}",
    "{% set ns = namespace(l=1) %}{% for i in range(100) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}",
    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "{% set ns = namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g = ns.g | map('string') %}{% endfor %}",
    "{% set x = 'ab' * 1000000 %}{% for i in range(100000) %}{{ x.count('b') }}{% endfor %}",
    "{% set x = 'ab' * 100000 %}{% for i in range(100000) %}{{ x[::-1] == x }}{% endfor %}",
    "{% set x = range(100000) | list %}{% for i in range(100000) %}{{ -1 in x }}{% endfor %}",
    "{% set x = range(100000) | list %}{% for i in x %}{% set y = x | sort %}{% endfor %}",
    "{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}",
    "{% for r in [1] recursive %}{{ loop([1]) }}{% endfor %}",
  ])
  func aTemplateIsStoppedAtItsLimits(source: String) throws {
    let stop = try error(source)
    let error = try #require(stop)
    #expect(error.kind == .limit, "\(error)")
    #expect(error.line == 1)
  }

  @Test func circlesAreTakenApart() throws {
    let source = """
      {% set ns = namespace(n=0) %}{% set ns.self = ns %}{% set ns.l = [ns] %}
      {% for i in range(3000) %}{% macro m(x) %}{{ x }}{% endmacro %}{% set ns.m = m %}{% set ns.loop = loop %}
      {% set ns.old = [loop.changed(ns.l)] %}{% endfor %}done
      """
    #expect(try JinjaTemplate(source: source).render([], date: midsummer).text.hasSuffix("done"))
  }

  @Test(arguments: [
    String(repeating: "(", count: 100_000), String(repeating: "[", count: 100_000),
    "{{ " + String(repeating: "(", count: 200) + "1" + String(repeating: ")", count: 200) + " }}",
    "{{ 1" + String(repeating: " + 1", count: 100_000) + " }}",
    "{{ a" + String(repeating: ".b", count: 100_000) + " }}",
    "{{ a" + String(repeating: "|trim", count: 100_000) + " }}",
    "{{ " + String(repeating: "not ", count: 100_000) + "1 }}",
    "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
    String(repeating: "{% if 1 %}", count: 100_000), "{{ " + String(repeating: "1 if 1 else ", count: 100_000) + "1 }}",
  ])
  func aTemplateNestedTooDeeplyIsRefused(source: String) throws {
    let source = source.hasPrefix("{") ? source : "{{ " + source + " }}"
    #expect(try error(source)?.kind == .syntax)
  }

  @Test func linesCountFromOneAndThroughTags() throws {
    for (source, line) in [
      ("{{ a.b }}", 1), ("x\n\n{{ a.b }}", 3), ("{% if\n true %}\n{{ a.b\n }}{% endif %}", 3),
      ("{# \n #}\n{{ a.b }}", 3),
      ("a\r\nb\r{{ a.b }}", 3), ("{% macro m() %}\n{{ a.b }}{% endmacro %}\n\n{{ m() }}", 2), ("\n{% foo %}", 2),
    ] { #expect(try error(source)?.line == line, "\(source)") }
  }
}
