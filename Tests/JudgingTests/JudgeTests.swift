import Core
import Files
import JSON
import Judging
import TestSupport
import Testing

/// A judge over a real connection, with a server that misbehaves.
@Suite struct JudgeTests {
  private struct Run {
    var result: Result<[JudgeChoice]?, any Error>
    var judge: Judge
    var requests: [MisbehavingServer.Request]
    var pauses: [Double]
  }

  /// One pair put before a judge.
  private static func judge(
    in folder: String, budget: Int = 100, timeout: Double = 60, key: String? = nil, first: String = "one",
    second: String = "two", pairs: Int = 1,
    _ script: @escaping @Sendable (Int, MisbehavingServer.Request) -> MisbehavingServer.Behaviour
  ) throws -> Run {
    let server = try MisbehavingServer(script)
    defer { server.stop() }
    var pauses: [Double] = []
    // The port is part of what a reply is kept by: each server has a folder of its own.
    let judge = try Judge(
      JudgeSettings(url: server.url, model: "j", budget: budget, timeout: timeout), folder: folder, key: key,
      pause: { pauses.append($0) })
    var result: Result<[JudgeChoice]?, any Error> = .success(nil)
    for pair in 0..<pairs {
      result = Result { try judge.compare("Which? 한국 \(pair)", reference: "r", first: first, second: second) }
      if case .failure = result { break }
    }
    return Run(result: result, judge: judge, requests: server.requests, pauses: pauses)
  }

  /// Prefers the answer with that text, wherever it stands.
  private static func prefers(_ text: String, _ request: MisbehavingServer.Request) -> String {
    let body = (try? Array(request.body.utf8).withUnsafeBytes { try parseJSON($0, file: "request") }) ?? .null
    let user = body["messages"]?.array?.last?["content"]?.string ?? ""
    return user.contains("[Start of answer A]\n\(text)\n") ? "[[A]]" : "[[B]]"
  }

  @Test func bothOrdersAreAskedOnceOnly() throws {
    try withTemporaryFolder { (folder) throws in
      let server = try MisbehavingServer { _, request in .reply("Well. " + Self.prefers("two \"q\" \\ \n한글 😀", request))
      }
      defer { server.stop() }
      let settings = JudgeSettings(url: server.url + "/", model: "j")
      for round in 0..<2 {
        let judge = try Judge(settings, folder: folder + "/judge", key: "secret-key-123")
        let choices = try judge.compare("Which?", reference: nil, first: "one", second: "two \"q\" \\ \n한글 😀")
        #expect(choices == [.second, .second])
        #expect(judge.requests == (round == 0 ? 2 : 0) && judge.cached == (round == 0 ? 0 : 2))
        // Equal answers need no judge.
        #expect(try judge.compare("Which?", reference: nil, first: "same", second: "same") == [.tie, .tie])
      }
      #expect(server.requests.count == 2)
      for request in server.requests {
        #expect(request.head.hasPrefix("POST /v1/chat/completions HTTP/1.1"))
        #expect(request.head.contains("\r\nAuthorization: Bearer secret-key-123"))
        let body = try Array(request.body.utf8).withUnsafeBytes { try parseJSON($0, file: "request") }
        #expect(body["model"]?.string == "j" && body["temperature"]?.int == 0)
        #expect(body["messages"]?.array?.last?["content"]?.string?.contains("two \"q\" \\ \n한글 😀") == true)
      }
      for name in try directoryEntries(folder + "/judge") {
        let text = String(decoding: try readFile(folder + "/judge/" + name), as: UTF8.self)
        #expect(!text.contains("secret-key-123"))
      }
      #expect(try directoryEntries(folder + "/judge").count == 2)
    }
  }

  @Test func aLikingForOneSideShows() throws {
    try withTemporaryFolder { (folder) throws in
      let run = try Self.judge(in: folder) { _, _ in .reply("[[B]] no, [[A]]") }
      #expect(try run.result.get() == [.first, .second])
    }
  }

  @Test func failuresAreTriedAgainWithPauses() throws {
    let behaviours: [(String, MisbehavingServer.Behaviour, Double)] = [
      ("busy", .status(429, headers: "Retry-After: 7\r\n"), 7),
      ("too long a wait", .status(503, headers: "Retry-After: 900\r\n"), 30),
      ("broken", .status(500, headers: ""), 0.5), ("not HTTP", .raw("\u{1}\u{2}what\r\n"), 0.5),
      ("closed", .raw(""), 0.5), ("cut", .raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\""), 0.5),
      ("no JSON", .raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), 0.5),
      ("other JSON", .raw("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"choices\": []}"), 0.5),
      ("silent", .silence(seconds: 8), 0.5), ("endless", .flood, 0.5),
    ]
    for (name, behaviour, pause) in behaviours {
      try withTemporaryFolder { (folder) throws in
        // Time enough for a busy machine; only the silent one waits for it.
        let run = try Self.judge(in: folder, timeout: name == "silent" ? 4 : 60) { number, request in
          number == 0 ? behaviour : .reply(Self.prefers("two", request))
        }
        #expect(try run.result.get() == [.second, .second], "\(name)")
        #expect(run.judge.requests == 3 && run.pauses == [pause], "\(name)")
      }
    }
  }

  @Test func tryingEnds() throws {
    try withTemporaryFolder { (folder) throws in
      // Four tries at a pair, each pause twice the one before; after three pairs nobody is asked any more.
      let run = try Self.judge(in: folder, pairs: 5) { _, _ in .status(502, headers: "") }
      let error = #expect(throws: SFTError.self) { try run.result.get() }
      #expect(error?.kind == .inputOutput && error?.message == "the judge does not answer: it answers with status 502")
      #expect(run.requests.count == 12 && run.pauses == [0.5, 1, 2, 0.5, 1, 2, 0.5, 1, 2])
    }
    try withTemporaryFolder { (folder) throws in
      let run = try Self.judge(in: folder) { _, _ in .status(401, headers: "") }
      let error = #expect(throws: SFTError.self) { try run.result.get() }
      #expect(error?.message == "the judge refuses the request with status 401" && run.requests.count == 1)
      #expect(error?.advice == "Set the environment variable SFT_JUDGE_API_KEY")
    }
    try withTemporaryFolder { (folder) throws in
      // A redirect could carry the key elsewhere.
      let run = try Self.judge(in: folder, key: "k") { _, _ in
        .status(302, headers: "Location: http://127.0.0.1:1/\r\n")
      }
      #expect(throws: SFTError.self) { try run.result.get() }
      #expect(run.requests.count == 1)
    }
    try withTemporaryFolder { (folder) throws in
      // A reply without a verdict is none, and is not kept.
      let run = try Self.judge(in: folder) { _, _ in .reply("Both are fine, A perhaps") }
      #expect(try run.result.get() == nil)
      #expect(try !fileExists(folder + "/judge"))
    }
    try withTemporaryFolder { (folder) throws in
      let judge = try Judge(
        JudgeSettings(url: "http://127.0.0.1:1", timeout: 60), folder: folder, key: nil, pause: { _ in })
      #expect(try judge.compare("q", reference: nil, first: "a", second: "b") == nil)
      // One that was not answered is a fault, however few there are.
      #expect(judge.failure?.message == "the judge does not answer: connection refused")
      #expect(try judge.compare("q", reference: nil, first: "a", second: "b") == nil)
      let error = #expect(throws: SFTError.self) { try judge.compare("q", reference: nil, first: "a", second: "b") }
      #expect(error?.message == "the judge does not answer: connection refused" && judge.requests == 12)
      #expect(error?.file == "http://127.0.0.1:1/chat/completions")
    }
  }

  /// What a judge is found to be before it is needed.
  @Test func aProbeTellsWhatIsWrong() throws {
    func probe(
      _ behaviour: MisbehavingServer.Behaviour, requests: Int, _ kind: SFTError.Kind?, _ message: String = ""
    ) throws {
      try withTemporaryFolder { (folder) throws in
        let server = try MisbehavingServer { _, _ in behaviour }
        defer { server.stop() }
        let judge = try Judge(JudgeSettings(url: server.url), folder: folder, key: nil, pause: { _ in })
        // Never taken from what was answered before.
        for round in 1...2 {
          let result = Result { try judge.probe() }
          switch result {
          case .success: #expect(kind == nil, "\(message)")
          case .failure(let error):
            #expect((error as? SFTError)?.kind == kind && (error as? SFTError)?.message == message)
          }
          #expect(server.requests.count == round * requests, "\(message)")
        }
      }
    }
    try probe(.reply("[[A]]"), requests: 1, nil)
    try probe(
      .reply("Both \n are"), requests: 1, .badData,
      "the judge replies without a verdict to a question with a plain answer: \"Both are\"")
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    try probe(.raw(page), requests: 4, .badData, "what the judge answers is no chat completion")
    try probe(.status(401, headers: ""), requests: 1, .inputOutput, "the judge refuses the request with status 401")
    try probe(.status(404, headers: ""), requests: 1, .inputOutput, "the judge refuses the request with status 404")
    try probe(
      .status(503, headers: ""), requests: 4, .inputOutput, "the judge does not answer: it answers with status 503")
    try withTemporaryFolder { (folder) throws in
      // Where there is no server, waiting does not help.
      let judge = try Judge(
        JudgeSettings(url: "http://127.0.0.1:1"), folder: folder, key: "secret", pause: { _ in Issue.record("waited") })
      let error = #expect(throws: SFTError.self) { try judge.probe() }
      #expect(error?.kind == .inputOutput && error?.message == "the judge does not answer: connection refused")
    }
  }

  @Test func aJudgeWithoutAnyVerdictIsAtFault() throws {
    try withTemporaryFolder { (folder) throws in
      let run = try Self.judge(in: folder, pairs: 2) { _, _ in .reply("Who knows") }
      #expect(run.judge.failure?.kind == .badData)
      #expect(run.judge.failure?.message == "no reply of the judge holds a verdict")
    }
    try withTemporaryFolder { (folder) throws in
      // Beside others with one, a reply without is none.
      let run = try Self.judge(in: folder, pairs: 2) { number, _ in .reply(number == 0 ? "Who knows" : "[[C]]") }
      #expect(try run.result.get() == [.tie, .tie] && run.judge.failure == nil)
    }
  }

  @Test func theBudgetIsKept() throws {
    // Two pairs of two requests fit into five; a third pair is not begun.
    try withTemporaryFolder { (folder) throws in
      let run = try Self.judge(in: folder, budget: 5, pairs: 3) { _, _ in .reply("[[C]]") }
      #expect(try run.result.get() == nil)
      #expect(run.requests.count == 4 && run.judge.requests == 4)
    }
    // Tries that failed count.
    try withTemporaryFolder { (folder) throws in
      let run = try Self.judge(in: folder, budget: 3) { _, _ in .status(500, headers: "") }
      #expect(try run.result.get() == nil)
      #expect(run.requests.count == 3)
    }
  }

  @Test func damagedMemoryIsAskedAgain() throws {
    try withTemporaryFolder { (folder) throws in
      let server = try MisbehavingServer { _, _ in .reply("[[A]]") }
      defer { server.stop() }
      func ask() throws -> (choices: [JudgeChoice]?, requests: Int) {
        let judge = try Judge(JudgeSettings(url: server.url), folder: folder, key: nil)
        return (try judge.compare("q", reference: nil, first: "a", second: "b"), judge.requests)
      }
      #expect(try ask().requests == 2)
      let name = try #require(try directoryEntries(folder).first)
      try writeAtomically("{\"choi", to: folder + "/" + name)
      let again = try ask()
      #expect(again.choices == [.first, .second] && again.requests == 1)
    }
  }

  @Test func settingsAreChecked() throws {
    for settings in [
      JudgeSettings(url: "localhost:80"), JudgeSettings(url: "file:///etc/passwd"), JudgeSettings(url: "http://a\" b"),
      JudgeSettings(url: "http://user:key@host/v1"), JudgeSettings(url: "https://host/v1?key=abc"),
      JudgeSettings(url: "http://h", budget: 2), JudgeSettings(url: "http://h", timeout: 0),
    ] {
      let error = #expect(throws: SFTError.self) { try Judge(settings, folder: "/tmp", key: nil) }
      #expect(error?.kind == .usage, "\(settings.url)")
    }
    let error = #expect(throws: SFTError.self) {
      try Judge(JudgeSettings(url: "http://h"), folder: "/tmp", key: "a\nb")
    }
    #expect(error?.kind == .usage && error?.description.contains("a\nb") == false)
  }
}
