import Core

/// How a judge is asked.
public struct JudgeSettings: Sendable, Equatable {
  /// Of an OpenAI-compatible server, with or without `/chat/completions`.
  public var url: String
  public var model: String
  /// Requests that may be sent, tries that failed among them.
  public var budget: Int
  /// Of one request, in seconds.
  public var timeout: Double
  /// Tries at one question, the first among them.
  public var attempts: Int

  public init(url: String, model: String = "default", budget: Int = 1000, timeout: Double = 60, attempts: Int = 4) {
    self.url = url
    self.model = model
    self.budget = budget
    self.timeout = timeout
    self.attempts = attempts
  }

  /// Where requests go.
  public var endpoint: String {
    let trimmed = url.hasSuffix("/") ? String(url.dropLast()) : url
    return trimmed.hasSuffix("/chat/completions") ? trimmed : trimmed + "/chat/completions"
  }

  /// Throws `usage` for what cannot be an address, or holds a secret, which would be written down with it.
  public func validate() throws {
    let isPlain = url.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    guard url.hasPrefix("http://") || url.hasPrefix("https://"), isPlain else {
      throw SFTError(
        .usage, "the judge's address must begin with http:// or https://", advice: "Give \(OptionName.judge) URL")
    }
    guard !url.contains("@"), !url.contains("?"), !url.contains("#") else {
      throw SFTError(
        .usage, "the judge's address holds more than an address",
        advice: "Give a key in the environment variable \(Judge.keyVariable)")
    }
    guard budget >= 3 else {
      throw SFTError(
        .usage, "the judge's budget must be at least 3 requests: one to see whether it answers, two for a question")
    }
    guard timeout > 0, timeout <= 3600 else { throw SFTError(.usage, "the judge's timeout must be 1 to 3600 seconds") }
  }
}
