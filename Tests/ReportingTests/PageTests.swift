import Core
import JSON
import Reporting
import Testing

/// Pages hold what models wrote, which may be anything.
@Suite struct PageTests {
  static let hostile = """
    </script><img src=x onerror=alert(1)> <!-- <script> ]]> {{script}} {{data}} & &lt; " ' \u{2028} \u{0} 한글 👩‍👩‍👧
    """

  @Test(arguments: [Page.Kind.comparison, .vote, .run]) func hostileTextStaysText(_ kind: Page.Kind) throws {
    let value = JSONValue.object(
      JSONObject([("text", .string(Self.hostile)), ("</script>", .array([.string("<b>")]))]))
    let html = Page(kind, title: Self.hostile, data: Array(value.serialized.utf8)).html
    // Two scripts and one style: the page's own.
    #expect(pieces(html, "<script").count == 3 && pieces(html, "</script").count == 3)
    #expect(pieces(html, "<style").count == 2 && !html.contains("<img") && !html.contains("onerror=alert(1)>"))
    #expect(html.contains("<title>&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"))
    let data = try #require(pieces(html, "id=\"data\">").last.flatMap { pieces(String($0), "</script>").first })
    #expect(!data.contains("<") && !data.contains(">") && !data.contains("&"))
    // And is what went in.
    #expect(try Array(data.utf8).withUnsafeBytes { try parseJSON($0, file: "page") } == value)
  }

  @Test func nothingIsLoadedAndOnlyTheOwnScriptRuns() throws {
    for kind in [Page.Kind.comparison, .vote, .run] {
      let html = Page(kind, title: "t", data: Array("{}".utf8)).html
      for address in ["http:", "https:", "src=", "@import", "url("] {
        // But for the name of SVG.
        #expect(!html.replacing("http://www.w3.org/2000/svg", with: "").contains(address), "\(address)")
      }
      let policy = try #require(
        pieces(html, "Content-Security-Policy\" content=\"").last.flatMap { pieces(String($0), "\"").first })
      #expect(policy.hasPrefix("default-src 'none'; "))
      #expect(policy.contains("script-src 'sha256-") && policy.contains("style-src 'sha256-"))
      #expect(!policy.contains("unsafe"))
      // No markup is made from text.
      for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        #expect(!html.contains(way), "\(way)")
      }
    }
  }

  private func pieces(_ text: String, _ separator: String) -> [Substring] {
    text.split(separator: separator, omittingEmptySubsequences: false)
  }
}
