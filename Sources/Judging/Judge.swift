import Core
import Glibc
import HTTP

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
  /// Pairs with a verdict in both orders, and pairs with a reply that held none.
  public private(set) var decided = 0
  private var undecided = 0
  /// Pairs in a row that found no judge, and why the last of all did not.
  private var failuresInARow = 0
  private var lastFailure: NoReply?
  private let key: String?
  let folder: String
  private let post: (String) throws -> HTTPResponse
  private static let longestAnswer = 4 << 20
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
    self.post =
      post ?? { json in
        var request = HTTPRequest(url: settings.endpoint)
        request.method = .post(json)
        request.timeout = settings.timeout
        if let key { request.headers.append(("Authorization", "Bearer \(key)")) }
        return try Curl().send(request, limit: Self.longestAnswer)
      }
    if post == nil, !Curl.isInstalled {
      throw SFTError(.notFound, "there is no program curl, through which a judge is asked", advice: "Install curl")
    }
  }

  public static var keyOfEnvironment: String? {
    getenv(keyVariable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Asks which of a right and an absurd answer is better, whatever it was asked before: a judge that is not there, wants
  /// a key or does not understand is found out before anything long is done for it.
  ///
  /// Throws `inputOutput` where nobody answers or the request is refused, `badData` where what comes is no verdict.
  public func probe() throws {
    let user = JudgePrompt.user(
      "Which city is the capital of France?", reference: "Paris", first: "Paris", second: "A spoon")
    do {
      let reply = try send(JudgePrompt.request(model: settings.model, user: user), isProbe: true)
      guard case .undecided(let text) = reply else { return }
      let start = text.split(whereSeparator: \.isWhitespace).joined(separator: " ").prefix(60)
      throw SFTError(
        .badData, "the judge replies without a verdict to a question with a plain answer: \"\(start)\"",
        file: settings.endpoint, advice: "Give \(OptionName.judge) a model that follows instructions")
    } catch let failure as NoReply {
      throw error(failure)
    }
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
      let choices = try choices(bodies)
      failuresInARow = 0
      guard let choices else { return nil }
      decided += 1
      let turned: JudgeChoice = choices[1] == .tie ? .tie : choices[1] == .first ? .second : .first
      return [choices[0], turned]
    } catch let failure as NoReply {
      lastFailure = failure
      failuresInARow += 1
      guard failuresInARow < 3 else { throw error(failure) }
      return nil
    }
  }

  /// What is wrong with the judge after all that it was asked: it had no answer for some pair, or never a verdict. nil where
  /// nothing is; a budget that is used up is no fault.
  public var failure: SFTError? {
    if let lastFailure { return error(lastFailure) }
    guard undecided > 0, decided == 0 else { return nil }
    return SFTError(.badData, "no reply of the judge holds a verdict", file: settings.endpoint)
  }

  private enum Reply {
    case choice(JudgeChoice, text: String)
    /// The text holds no verdict.
    case undecided(String)
    /// The budget is used up.
    case none
  }

  /// Why there is no reply, after all tries: `badData` where an answer came that is no chat completion.
  private struct NoReply: Error {
    var kind: SFTError.Kind
    var reason: String
  }

  /// nil where a reply holds no verdict or the budget is used up.
  private func choices(_ bodies: [String]) throws -> [JudgeChoice]? {
    var choices: [JudgeChoice] = []
    for body in bodies {
      if let choice = stored(body) {
        cached += 1
        choices.append(choice)
        continue
      }
      switch try send(body) {
      case .choice(let choice, let text):
        try store(choice, text, body)
        choices.append(choice)
      case .undecided:
        undecided += 1
        return nil
      case .none: return nil
      }
    }
    return choices
  }

  /// Tries until something comes or the tries are used up. A probe that does not even find a server is not tried again.
  private func send(_ body: String, isProbe: Bool = false) throws -> Reply {
    var failure = NoReply(kind: .inputOutput, reason: "no try was made")
    for attempt in 0..<settings.attempts {
      guard requests < settings.budget else {
        if attempt == 0 { return .none }
        throw failure
      }
      // Half a second, one, two …; or as long as the server asks for, within reason.
      var wait = 0.5 * Double(1 << attempt)
      requests += 1
      do {
        let response = try post(body)
        switch response.status {
        case 200..<300:
          if let text = JudgePrompt.content(response.body) {
            return JudgePrompt.choice(text).map { .choice($0, text: text) } ?? .undecided(text)
          }
          failure = NoReply(kind: .badData, reason: "what the judge answers is no chat completion")
        case 408, 409, 425, 429, 500...:
          failure = NoReply(kind: .inputOutput, reason: "it answers with status \(response.status)")
          wait = min(max(wait, response.head.retryAfter ?? 0), 30)
        default: throw refusal(response)
        }
      } catch let error as HTTPFailure {
        failure = NoReply(kind: .inputOutput, reason: error.reason)
        if isProbe { break }
      }
      if attempt + 1 < settings.attempts { pause(wait) }
    }
    throw failure
  }

  private func error(_ failure: NoReply) -> SFTError {
    SFTError(
      failure.kind, (failure.kind == .badData ? "" : "the judge does not answer: ") + failure.reason,
      file: settings.endpoint,
      advice: "See whether \(OptionName.judge) is right and runs; verdicts it gave are kept and not asked for again")
  }

  private func refusal(_ response: HTTPResponse) -> SFTError {
    let isKey = response.status == 401 || response.status == 403
    let advice =
      isKey
      ? "Set the environment variable \(Self.keyVariable)"
      : "See whether \(OptionName.judge) and \(OptionName.judgeModel) are right"
    return SFTError(
      .inputOutput, "the judge refuses the request with status \(response.status)", file: settings.endpoint,
      advice: advice)
  }
}
