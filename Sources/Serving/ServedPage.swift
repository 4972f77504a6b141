import Files
import FoundationEssentials

/// The page at `/`: one file that loads nothing, in which a person asks the models and sees their answers side by side.
struct ServedPage: Sendable {
  static let shared = ServedPage()

  let response: Response

  private init() {
    let style = Self.text(PackageResources.serving_css)
    let script = Self.text(PackageResources.serving_js)
    let html = Self.text(PackageResources.serving_html)
      .replacing("{{style}}", with: style, maxReplacements: 1).replacing("{{script}}", with: script, maxReplacements: 1)
    var response = Response(type: "text/html; charset=utf-8", body: html)
    // Nothing runs but what is here, and nobody is talked to but this server.
    response.fields = [
      (
        "Content-Security-Policy",
        "default-src 'none'; script-src '\(Self.integrity(script))'; style-src '\(Self.integrity(style))'; "
          + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      ),
      ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache"),
    ]
    self.response = response
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// What a content security policy knows an inline script or style by.
  private static func integrity(_ text: String) -> String {
    var text = text
    let digits = Array(text.withUTF8 { Digest(of: UnsafeRawBufferPointer($0)) }.hex)
    let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    return "sha256-" + Data(bytes).base64EncodedString()
  }
}
