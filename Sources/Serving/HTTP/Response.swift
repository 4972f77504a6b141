import NIOHTTP1

/// An answer that is given at once.
struct Response {
  var status: Int
  var type: String
  var body: String
  var fields: [(String, String)] = []

  init(status: Int = 200, type: String = "application/json", body: String) {
    self.status = status
    self.type = type
    self.body = body
  }

  init(_ error: APIError) {
    self.init(status: error.status, body: error.json)
    if let seconds = error.retryAfter { fields.append(("Retry-After", String(seconds))) }
    if error.status == 401 { fields.append(("WWW-Authenticate", "Bearer")) }
  }

  static func plain(_ text: String) -> Response { Response(type: "text/plain; charset=utf-8", body: text) }

  /// Of `/health`.
  static func health(isStopping: Bool) -> Response {
    var response = Response(
      status: isStopping ? 503 : 200, body: #"{"status":"\#(isStopping ? "stopping" : "ready")"}"#)
    response.fields.append(("Cache-Control", "no-store"))
    return response
  }

  /// To OPTIONS: what the route takes, and, for a browser that asks on behalf of an allowed page, that it may.
  static func options(_ route: Route, asked headers: HTTPHeaders, isForeign: Bool) -> Response {
    var response = Response(status: 204, body: "")
    response.fields.append(("Allow", route.allowedMethods))
    guard isForeign else { return response }
    response.fields.append(("Access-Control-Allow-Methods", route.allowedMethods))
    response.fields.append(("Access-Control-Max-Age", "600"))
    if let names = headers.first(name: "access-control-request-headers"), names.utf8.allSatisfy(isOfNames) {
      response.fields.append(("Access-Control-Allow-Headers", names))
    }
    return response
  }

  /// Letters, digits and what joins names: nothing else is given back.
  private static func isOfNames(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ","), UInt8(ascii: " "):
      true
    default: false
    }
  }
}
