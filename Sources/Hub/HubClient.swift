import Core
import Files
import Glibc
import HTTP

/// Asks the hub, or a server that speaks as it does: follows redirects, tries again what may be better then, and words
/// refusals.
///
/// The token goes to the endpoint's host alone: a redirect to another loses it.
struct HubClient {
  let environment: HubEnvironment
  let name: HubName
  let revision: String
  /// Waits so many seconds.
  let pause: (Double) throws -> Void
  let remark: (String) -> Void

  static let mostRedirects = 10
  static let tries = 6
  private static let longestWait = 300.0
  private static let longestAnswer = 64 << 20

  /// An answer that says no; retried where that may help.
  private struct Refusal: Error {
    var head: HTTPHead
  }

  /// The body of what `path`, below the endpoint, answers with.
  func get(_ path: String) throws -> [UInt8] {
    try retrying {
      var body: [UInt8] = []
      _ = try follow(path, request: { $0.timeout = environment.answerTimeout * 6 }) { _, bytes in
        guard body.count + bytes.count <= Self.longestAnswer else {
          throw SFTError(.badData, "the answer is longer than \(byteCount(Self.longestAnswer))", file: address(path))
        }
        body += bytes
      }
      return body
    }
  }

  /// Follows `path` to where it leads, and hands over what comes from byte `offset` on, with the head that it belongs to, until
  /// `isComplete`. `progressed` says after a try that came to nothing whether the tries begin anew; `restart` is called where the
  /// server has nothing from that offset on.
  func download(
    _ path: String, offset: () -> Int, isComplete: () -> Bool, progressed: () -> Bool, restart: () throws -> Void,
    _ piece: (HTTPHead, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if isComplete(), offset() > 0 { return }
    try retrying(progressed: progressed) {
      let start = offset()
      do {
        _ = try follow(
          path,
          request: {
            $0.stallTimeout = environment.stallTimeout
            if start > 0 { $0.headers.append(("Range", "bytes=\(start)-")) }
          }, piece)
      } catch let refusal as Refusal where refusal.head.status == 416 {
        try restart()
        throw HTTPFailure(reason: "the server has nothing more of \(path)")
      }
      // An answer without a length may end anywhere, and some give a part of what is asked for.
      if !isComplete() { throw HTTPFailure(reason: "the answer ended early") }
    }
  }

  func address(_ path: String) -> String { environment.endpoint + path }

  /// Sends the request to where redirects lead.
  private func follow(
    _ path: String, request adjust: (inout HTTPRequest) -> Void,
    _ piece: (HTTPHead, UnsafeRawBufferPointer) throws -> Void
  ) throws -> HTTPHead {
    guard let home = WebAddress(environment.endpoint), var place = WebAddress(address(path)) else {
      throw SFTError(.internalError, "\(quoted(address(path))) is no address")
    }
    for _ in 0...Self.mostRedirects {
      var request = HTTPRequest(url: place.text)
      request.connectTimeout = environment.answerTimeout
      request.headers = [("User-Agent", "sft"), ("Accept-Encoding", "identity")]
      if let token = environment.token, place.origin == home.origin {
        request.headers.append(("Authorization", "Bearer \(token)"))
      }
      adjust(&request)
      let head = try Curl().send(request) { head, bytes in
        if (200..<300).contains(head.status) { try piece(head, bytes) }
      }
      switch head.status {
      case 200..<300: return head
      case 300..<400:
        guard let location = head.headers["location"], let next = place.following(location) else {
          throw SFTError(.inputOutput, "redirects to no address", file: place.text)
        }
        if place.isEncrypted, !next.isEncrypted {
          throw SFTError(.inputOutput, "redirects from https to http, which is not followed", file: place.text)
        }
        place = next
      default: throw Refusal(head: head)
      }
    }
    throw SFTError(.inputOutput, "redirects more than \(Self.mostRedirects) times", file: address(path))
  }

  /// Tries again, after one second, two, four …, or as long as the server asks for, what fails for want of a
  /// connection, or with a status that may pass.
  private func retrying<Result>(
    progressed: () -> Bool = { false }, _ body: () throws -> Result
  ) throws -> Result {
    var attempt = 0
    while true {
      let reason: String
      var wait = Double(1 << attempt)
      do {
        return try body()
      } catch let refusal as Refusal {
        let status = refusal.head.status
        guard [408, 425, 429].contains(status) || status >= 500 else { throw error(refusal.head) }
        if attempt + 1 == Self.tries { throw error(refusal.head) }
        reason = status == 429 ? "the server asks to wait" : "the server answers with status \(status)"
        if let asked = Self.wait(refusal.head), asked.isFinite { wait = max(wait, asked) }
        if wait > Self.longestWait {
          throw SFTError(
            .inputOutput, "the server asks to wait \(Int(wait)) seconds before the next request",
            file: environment.endpoint,
            advice: "Give the same command again later; what is there is kept")
        }
      } catch let failure as HTTPFailure {
        if attempt + 1 == Self.tries {
          throw SFTError(
            .inputOutput, "cannot be reached: \(failure.reason)", file: environment.endpoint,
            advice: "Give the same command again later; what is there is kept")
        }
        reason = failure.reason
      }
      if progressed() {
        attempt = 0
        wait = 1
      }
      remark("\(reason); trying again in \(counted(Int(wait.rounded(.up)), "second")).")
      try pause(wait)
      attempt += 1
    }
  }

  /// Seconds that a server asks to wait: `Retry-After`, or the hub's `RateLimit: "api";r=0;t=55`.
  private static func wait(_ head: HTTPHead) -> Double? {
    if let seconds = head.retryAfter { return seconds }
    let parts = head.headers["ratelimit"]?.split(whereSeparator: { $0 == ";" || $0 == "," || $0 == " " }) ?? []
    guard parts.contains("r=0") else { return nil }
    return parts.first { $0.hasPrefix("t=") }.flatMap { Double($0.dropFirst(2)) }.map { $0 + 1 }
  }

  /// A refusal in words.
  private func error(_ head: HTTPHead) -> SFTError {
    let what = "\(name.kind.rawValue) \(name.text)"
    let place = environment.endpoint + "/" + name.path
    switch (head.status, head.headers["x-error-code"]) {
    case (_, "GatedRepo"):
      return SFTError(
        .notFound, "the \(what) is gated: its owner asks for an agreement first", file: place,
        advice: environment.token == nil
          ? "Agree there, and set HF_TOKEN to a token of that account"
          : "Agree there with the account that HF_TOKEN is of")
    case (_, "RevisionNotFound"):
      return SFTError(.notFound, "the \(what) has no revision \(quoted(revision))", file: place)
    case (_, "EntryNotFound"):
      return SFTError(.notFound, "the \(what) has no such file", file: place)
    case (401, _), (403, _), (404, _):
      return SFTError(
        .notFound, "there is no \(what), or it is private (status \(head.status))", file: place,
        advice: "See whether the name is right"
          + (environment.token == nil
            ? "; for a private one set HF_TOKEN to a token" : ", and whether the account of HF_TOKEN may read it"))
    default:
      return SFTError(.inputOutput, "the server answers with status \(head.status)", file: place)
    }
  }
}

extension HubName {
  /// Below the endpoint, and below `api/`.
  var path: String { kind == .dataset ? "datasets/" + text : text }
  var apiPath: String { (kind == .dataset ? "datasets/" : "models/") + text }
}
