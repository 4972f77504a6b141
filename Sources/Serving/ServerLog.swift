/// What is told of a request when it has been answered, or its client has gone.
public struct ServerLogEntry: Sendable {
  public var method: String
  /// Without its query; at most 200 characters, nothing in them that acts on a terminal.
  public var path: String
  /// As in the answer; 499 where the client went before it was whole.
  public var status: Int
  public var model: String?
  public var promptTokens = 0
  public var generatedTokens = 0
  /// From the end of the request's fields to the end of the answer.
  public var seconds: Double
  /// Address and port of the other side.
  public var client: String
  /// What went wrong, for the one who runs the server.
  public var failure: String?
  /// Messages as JSON, text or token ids; only where the settings ask for it.
  public var prompt: String?
}
