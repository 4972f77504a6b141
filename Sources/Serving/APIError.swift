import Core
import JSON

/// An error as OpenAI's clients expect it, with its HTTP status.
struct APIError: Error, Equatable {
  var status: Int
  var type: String
  var message: String
  /// The member of the request that it is about.
  var parameter: String?
  var code: String?
  /// Seconds after which to come again.
  var retryAfter: Int?
  /// For the log instead of the client.
  var detail: String?

  init(_ status: Int, _ type: String, _ message: String, parameter: String? = nil, code: String? = nil) {
    self.status = status
    self.type = type
    self.message = message
    self.parameter = parameter
    self.code = code
  }

  /// The client has to change its request.
  static func invalid(_ message: String, _ parameter: String?, status: Int = 400, code: String? = nil) -> APIError {
    APIError(status, "invalid_request_error", message, parameter: parameter, code: code)
  }

  /// The server is busy or on its way out.
  static func unavailable(_ message: String, status: Int = 503, retryAfter: Int = 1) -> APIError {
    var error = APIError(status, status == 429 ? "rate_limit_error" : "service_unavailable_error", message)
    error.code = status == 429 ? "queue_full" : nil
    error.retryAfter = retryAfter
    return error
  }

  /// What an engine has thrown or told.
  init(_ error: any Error) {
    switch error {
    case let error as APIError: self = error
    case let error as QueueFull:
      self = .unavailable(
        "The queue of requests is full. Please try again later.", status: 429, retryAfter: max(1, error.retryAfter))
    case let error as SFTError:
      switch error.kind {
      // Advice is for whoever runs the server, and so are paths.
      case .usage, .badData:
        self = .invalid(Self.sentence(error.message), nil)
        detail = error.description
      case .notFound:
        self = .invalid(Self.sentence(error.message), "model", status: 404, code: "model_not_found")
        detail = error.description
      case .interrupted: self = .unavailable("The server is stopping.")
      default:
        // A path or a system's error is nothing for clients.
        self.init(500, "server_error", "The server failed to answer this request; its log says why.")
        detail = error.description
      }
    default:
      self.init(500, "server_error", "The server failed to answer this request; its log says why.")
      detail = "\(error)"
    }
  }

  /// With a capital letter and a full stop.
  private static func sentence(_ message: String) -> String {
    message.prefix(1).uppercased() + message.dropFirst() + (message.hasSuffix(".") ? "" : ".")
  }

  /// `{"error":{…}}`.
  var json: String {
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    let members: [(key: String, value: JSONValue)] = [
      ("message", .string(message)), ("type", .string(type)), ("param", text(parameter)), ("code", text(code)),
    ]
    return JSONValue.object(JSONObject([("error", .object(JSONObject(members)))])).serialized
  }
}
