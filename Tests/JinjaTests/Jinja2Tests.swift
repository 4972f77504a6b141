import Core
import JSON
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

struct Jinja2Tests {
  @Test func rendersWhatJinja2Renders() throws {
    let cases = try JinjaCase.read(fixturePath("jinja_cases.jsonl"))
    #expect(cases.count > 1000)
    for sample in cases {
      if let difference = sample.difference { Issue.record("\(sample.source.debugDescription): \(difference)") }
    }
  }

  /// `JINJA_CASES=FILE`: cases made with other seeds, or of other templates.
  @Test(.enabled(if: getenv("JINJA_CASES") != nil)) func rendersOtherCasesToo() throws {
    let path = getenv("JINJA_CASES").map { String(cString: $0) } ?? ""
    let cases = try JinjaCase.read(path)
    var differing = 0
    for (place, sample) in cases.enumerated() {
      guard let difference = sample.difference else { continue }
      differing += 1
      if differing <= 40 { print("\(place + 1) \(sample.source.prefix(300).debugDescription): \(difference)") }
    }
    print("\(cases.count) cases, \(differing) differ")
    #expect(differing == 0)
  }
}
