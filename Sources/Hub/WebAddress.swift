import FoundationEssentials

/// An address of the web: http or https, with a host.
struct WebAddress: Sendable, Equatable {
  private let url: URL

  /// nil where `text` is none.
  init?(_ text: String) { self.init(URL(string: text)) }

  private init?(_ url: URL?) {
    guard let url, let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
      let host = url.host(), !host.isEmpty
    else { return nil }
    self.url = url
  }

  var text: String { url.absoluteString }
  var isEncrypted: Bool { url.scheme?.lowercased() == "https" }

  /// Scheme, host and port: who gets to see what is sent.
  var origin: String {
    let scheme = url.scheme?.lowercased() ?? ""
    return "\(scheme)://\((url.host() ?? "").lowercased()):\(url.port ?? (isEncrypted ? 443 : 80))"
  }

  /// Where a `Location` of an answer from here leads; nil where that is no address.
  func following(_ location: String) -> WebAddress? {
    WebAddress(URL(string: location, relativeTo: url)?.absoluteURL)
  }

  /// `text` as a part of a path, with all that is not a letter, a digit or one of `-._~` as its bytes; slashes are kept
  /// in a path.
  static func encoded(_ text: String, isPath: Bool = false) -> String {
    var result = ""
    for byte in text.utf8 {
      let isPlain =
        (48...57).contains(byte) || (65...90).contains(byte & 0xdf) || "-._~".utf8.contains(byte)
        || (isPath && byte == UInt8(ascii: "/"))
      if isPlain {
        result.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        result += "%" + (byte < 16 ? "0" : "") + digits
      }
    }
    return result
  }
}
