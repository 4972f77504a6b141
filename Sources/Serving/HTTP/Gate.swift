import Core
import Files
import Glibc
import NIOHTTP1

/// Who is let in: by key, by the name under which the server was called, and by the page that a browser was on.
struct Gate: Sendable {
  private let keys: [Digest]
  private let origins: Set<String>
  private let hosts: Set<String>

  init(_ settings: ServerSettings) {
    keys = settings.apiKeys.map { Digest(of: $0) }
    origins = Set(settings.allowedOrigins.map { $0.lowercased() })
    hosts = Set((settings.allowedHosts + [settings.host, Self.machineName()]).map { $0.lowercased() })
  }

  /// The origin that is to be told it may read the answer; nil for requests that no foreign page has made.
  func foreignOrigin(_ headers: HTTPHeaders) -> String? {
    guard let origin = headers.first(name: "origin"), !isOwn(origin, headers) else { return nil }
    return origin
  }

  /// - Throws: 400 without a host, 403 for a host or an origin that this server does not know, 401 without a key.
  func check(_ head: HTTPRequestHead, needsKey: Bool) throws(APIError) {
    let named = head.headers["host"]
    guard named.count == 1 || named.isEmpty && head.version.isBefore1_1 else {
      throw .invalid("The request must have one field Host.", nil)
    }
    // A name that somebody made to lead here would make this server his page's own. Addresses cannot be made to.
    if let host = named.first, !isKnown(host) {
      throw .init(
        403, "permission_error", "This server does not go by the name \(quoted(host)).", code: "unknown_host")
    }
    let sources = head.headers["origin"]
    guard sources.count <= 1 else { throw .invalid("The request must not have more than one field Origin.", nil) }
    if let origin = foreignOrigin(head.headers), !origins.contains("*"), !origins.contains(origin.lowercased()) {
      throw .init(
        403, "permission_error", "Pages of \(quoted(origin)) may not use this server.", code: "unknown_origin")
    }
    if needsKey, !keys.isEmpty { try checkKey(head.headers["authorization"]) }
  }

  /// As long for a wrong key as for a right one: digests are compared, whole and with all keys.
  private func checkKey(_ fields: [String]) throws(APIError) {
    let prefix = "bearer "
    guard fields.count == 1, fields[0].lowercased().hasPrefix(prefix) else {
      throw .init(
        401, "invalid_request_error", "An API key is needed, as 'Authorization: Bearer KEY'.", code: "missing_api_key")
    }
    let given = Digest(of: String(fields[0].dropFirst(prefix.count).drop { $0 == " " }))
    var isKnown = false
    for key in keys {
      let difference = zip(key.hex.utf8, given.hex.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
      isKnown = difference == 0 || isKnown
    }
    guard isKnown else {
      throw .init(401, "invalid_request_error", "The API key is not one of this server's.", code: "invalid_api_key")
    }
  }

  private func isKnown(_ host: String) -> Bool {
    let name = Self.withoutPort(host.lowercased())
    return hosts.contains("*") || hosts.contains(name) || name == "localhost" || name.hasSuffix(".localhost")
      || Self.isAddress(name)
  }

  /// Whether a page of `origin` has come from this server, under the name that it is called by now.
  private func isOwn(_ origin: String, _ headers: HTTPHeaders) -> Bool {
    guard let host = headers.first(name: "host")?.lowercased() else { return false }
    // A proxy in front of this server may speak TLS.
    return origin.lowercased() == "http://" + host || origin.lowercased() == "https://" + host
  }

  /// `[::1]:8000` → `::1`, `localhost:8000` → `localhost`.
  static func withoutPort(_ host: String) -> String {
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
      return String(host[host.index(after: host.startIndex)..<end])
    }
    guard let colon = host.lastIndex(of: ":"), host.firstIndex(of: ":") == colon else { return host }
    return String(host[..<colon])
  }

  private static func isAddress(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
  }

  private static func machineName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
