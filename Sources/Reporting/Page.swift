import Core
import Files
import FoundationEssentials

/// A page that one file holds whole: style, script and data, and nothing loaded from anywhere.
///
/// Data reaches the page as JSON in which no `<` is left, and the script puts it in as text only; the page's own policy
/// lets nothing run but that script.
public struct Page: Sendable {
  /// Which script shows the data.
  public enum Kind: Sendable {
    /// A comparison that says which model gave which answer.
    case comparison
    /// A comparison without the models' names, for voting.
    case vote
    /// A training run.
    case run
  }

  public let html: String

  /// `data` is JSON as the kind's script expects it.
  public init(_ kind: Kind, title: String, data: [UInt8]) {
    let script = Self.text(PackageResources.common_js) + Self.text(kind.script)
    let style = Self.text(PackageResources.page_css)
    let policy =
      "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
      + "script-src '\(Self.integrity(script))'; style-src '\(Self.integrity(style))'"
    let parts = [
      "policy": policy, "title": Self.escaped(title), "style": style, "script": script, "data": Self.embedded(data),
    ]
    html = Self.filled(Self.text(PackageResources.page_html), parts)
  }

  /// The template with each `{{name}}` replaced once; what is put in is not looked at again.
  private static func filled(_ template: String, _ parts: [String: String]) -> String {
    let pieces = template.split(separator: "{{", omittingEmptySubsequences: false)
    var html = String(pieces[0])
    for piece in pieces.dropFirst() {
      let ends = piece.split(separator: "}}", maxSplits: 1, omittingEmptySubsequences: false)
      precondition(ends.count == 2 && parts[String(ends[0])] != nil, "page.html has a place that nothing fills")
      html += parts[String(ends[0]), default: ""] + ends[1]
    }
    return html
  }

  /// JSON that may stand inside a script element: `<`, `>` and `&` as escapes, which JSON allows within strings and has
  /// nowhere else; the two line separators too, for older engines.
  static func embedded(_ json: [UInt8]) -> String {
    var text = ""
    for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "<": text += "\\u003c"
      case ">": text += "\\u003e"
      case "&": text += "\\u0026"
      case "\u{2028}": text += "\\u2028"
      case "\u{2029}": text += "\\u2029"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  static func escaped(_ text: String) -> String {
    var safe = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": safe += "&amp;"
      case "<": safe += "&lt;"
      case ">": safe += "&gt;"
      case "\"": safe += "&quot;"
      case "'": safe += "&#39;"
      default: safe.unicodeScalars.append(character)
      }
    }
    return safe
  }

  /// What a content security policy knows an inline script or style by.
  private static func integrity(_ text: String) -> String {
    var text = text
    let digest = text.withUTF8 { Digest(of: UnsafeRawBufferPointer($0)) }
    let digits = Array(digest.hex)
    let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    return "sha256-" + Data(bytes).base64EncodedString()
  }

  fileprivate static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension Page.Kind {
  fileprivate var script: [UInt8] {
    switch self {
    case .comparison: PackageResources.compare_js
    case .vote: PackageResources.vote_js
    case .run: PackageResources.report_js
    }
  }
}
