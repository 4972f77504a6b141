import Core
import Files
import Glibc
import JSON

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
      throw SFTError(.usage, "the judge's address must begin with http:// or https://", advice: "Give --judge URL")
    }
    guard !url.contains("@"), !url.contains("?"), !url.contains("#") else {
      throw SFTError(
        .usage, "the judge's address holds more than an address",
        advice: "Give a key in the environment variable \(Judge.keyVariable)")
    }
    guard budget >= 1 else { throw SFTError(.usage, "the judge's budget must be at least 1 request") }
    guard timeout > 0, timeout <= 3600 else { throw SFTError(.usage, "the judge's timeout must be 1 to 3600 seconds") }
  }
}

/// Asks another model which of two answers is better, in both orders, so that a liking for one side makes a tie.
///
/// Replies are kept in a folder by what was asked, so that nothing is asked, or paid for, twice. The key comes from the
/// environment and is written nowhere.
public final class Judge {
  public static let keyVariable = "SFT_JUDGE_API_KEY"

  public let settings: JudgeSettings
  /// Sent so far, and answered from the folder.
  public private(set) var requests = 0
  public private(set) var cached = 0
  /// Pairs in a row that found no judge.
  private var failures = 0
  private let key: String?
  private let folder: String
  private let post: (String) throws -> HTTPResponse
  private let pause: (Double) -> Void

  /// `post` and `pause` can be replaced for tests.
  ///
  /// Throws `usage` for settings or a key that cannot be.
  public init(
    _ settings: JudgeSettings, folder: String, key: String? = Judge.keyOfEnvironment,
    post: ((String) throws -> HTTPResponse)? = nil,
    pause: @escaping (Double) -> Void = { usleep(UInt32(min($0, 60) * 1e6)) }
  ) throws {
    try settings.validate()
    if let key, !key.utf8.allSatisfy({ (33...126).contains($0) }) {
      throw SFTError(.usage, "\(Self.keyVariable) holds white space or characters that no key has")
    }
    self.settings = settings
    self.folder = folder
    self.key = key
    self.pause = pause
    let curl = Curl(timeout: settings.timeout)
    self.post = post ?? { try curl.post($0, to: settings.endpoint, key: key) }
    if post == nil, !Curl.isInstalled {
      throw SFTError(.notFound, "there is no program curl, through which a judge is asked", advice: "Install curl")
    }
  }

  public static var keyOfEnvironment: String? {
    getenv(keyVariable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The choice in each order, `first` and `second` being the answers as given here; nil where the budget is used up or
  /// the judge gave no verdict. Equal answers are a tie without asking.
  ///
  /// Throws `inputOutput` where the judge refuses, or has failed for several pairs in a row.
  public func compare(
    _ question: String, reference: String?, first: String, second: String
  ) throws -> [JudgeChoice]? {
    if first == second { return [.tie, .tie] }
    let bodies = [(first, second), (second, first)].map {
      JudgePrompt.request(
        model: settings.model, user: JudgePrompt.user(question, reference: reference, first: $0, second: $1))
    }
    // Half a judgement would be worth nothing.
    let unknown = bodies.count { stored($0) == nil }
    guard requests + unknown <= settings.budget else { return nil }
    do {
      guard let straight = try ask(bodies[0]), let swapped = try ask(bodies[1]) else { return nil }
      failures = 0
      let turned: JudgeChoice = swapped == .tie ? .tie : swapped == .first ? .second : .first
      return [straight, turned]
    } catch let failure as HTTPFailure {
      failures += 1
      guard failures < 3 else {
        throw SFTError(.inputOutput, "the judge does not answer: \(failure.reason)", file: settings.endpoint)
      }
      return nil
    }
  }

  /// One order; nil where the reply holds no verdict or the budget is used up.
  private func ask(_ body: String) throws -> JudgeChoice? {
    if let choice = stored(body) {
      cached += 1
      return choice
    }
    var reason = "no try was made"
    for attempt in 0..<settings.attempts {
      guard requests < settings.budget else { return nil }
      // Half a second, one, two …; or as long as the server asks for, within reason.
      var wait = 0.5 * Double(1 << attempt)
      requests += 1
      do {
        let response = try post(body)
        switch response.status {
        case 200..<300:
          guard let reply = JudgePrompt.content(response.body) else {
            reason = "what it answers is no chat completion"
            break
          }
          guard let choice = JudgePrompt.choice(reply) else { return nil }
          try store(choice, reply, body)
          return choice
        case 408, 409, 425, 429, 500...:
          reason = "it answers with status \(response.status)"
          wait = min(max(wait, response.retryAfter ?? 0), 30)
        default: throw refusal(response)
        }
      } catch let failure as HTTPFailure {
        reason = failure.reason
      }
      if attempt + 1 < settings.attempts { pause(wait) }
    }
    throw HTTPFailure(reason: reason)
  }

  private func refusal(_ response: HTTPResponse) -> SFTError {
    let isKey = response.status == 401 || response.status == 403
    let advice =
      isKey
      ? "Set the environment variable \(Self.keyVariable)" : "See whether --judge and --judge-model are right"
    return SFTError(
      .inputOutput, "the judge refuses the request with status \(response.status)", file: settings.endpoint,
      advice: advice)
  }

  // MARK: - What was answered before

  private func path(_ body: String) -> String { "\(folder)/\(Digest(of: settings.endpoint + "\n" + body)).json" }

  /// nil where it was never asked, or the file is not what was written.
  private func stored(_ body: String) -> JudgeChoice? {
    guard let value = try? parseJSONFile(path(body), limit: 16 << 20) else { return nil }
    return value["choice"]?.string.flatMap(JudgeChoice.init)
  }

  private func store(_ choice: JudgeChoice, _ reply: String, _ body: String) throws {
    try createDirectory(folder)
    let value = JSONValue.object(
      JSONObject([
        ("endpoint", .string(settings.endpoint)), ("model", .string(settings.model)),
        ("choice", .string(choice.rawValue)), ("reply", .string(reply)),
      ]))
    try writeAtomically(value.serialized + "\n", to: path(body))
  }
}
