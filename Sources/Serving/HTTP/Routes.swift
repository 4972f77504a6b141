/// What a request is for.
enum Route: Equatable, Sendable {
  case page, health, metrics, models
  case model(String)
  case completion(CompletionCall.Kind)
  case adapter(loading: Bool)

  /// For metrics: without what clients make up.
  var name: String {
    switch self {
    case .page: "/"
    case .health: "/health"
    case .metrics: "/metrics"
    case .models: "/v1/models"
    case .model: "/v1/models/{id}"
    case .completion(.chat): "/v1/chat/completions"
    case .completion(.text): "/v1/completions"
    case .adapter(loading: true): "/v1/load_lora_adapter"
    case .adapter(loading: false): "/v1/unload_lora_adapter"
    }
  }

  /// Without GET's shadow HEAD, and OPTIONS.
  var method: String {
    switch self {
    case .page, .health, .metrics, .models, .model: "GET"
    case .completion, .adapter: "POST"
    }
  }

  /// As in the field `Allow`.
  var allowedMethods: String { method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS" }

  /// Whether it is answered without a key: the page holds nothing but itself, and who watches over a server has none.
  var isFree: Bool { self == .page || self == .health }

  /// nil for a path that leads nowhere. `path` is a request's target without its query.
  init?(_ path: String) {
    switch path {
    case "/": self = .page
    case "/health": self = .health
    case "/metrics": self = .metrics
    case "/v1/models": self = .models
    case "/v1/chat/completions": self = .completion(.chat)
    case "/v1/completions": self = .completion(.text)
    case "/v1/load_lora_adapter": self = .adapter(loading: true)
    case "/v1/unload_lora_adapter": self = .adapter(loading: false)
    default:
      let prefix = "/v1/models/"
      guard path.hasPrefix(prefix), let id = Self.decoded(path.dropFirst(prefix.count)), !id.isEmpty else { return nil }
      self = .model(id)
    }
  }

  /// Percent escapes resolved; nil where they are none, or no UTF-8.
  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let high = hexDigit(rest.removeFirst()), let low = hexDigit(rest.removeFirst()) else {
        return nil
      }
      bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
