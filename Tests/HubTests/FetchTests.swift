import Core
import Files
import Foundation
import Hub
import JSON
import Synchronization
import TestSupport
import Testing

/// Fetching from a server that speaks the hub's protocol, well and badly, over real connections.
@Suite struct FetchTests {
  private static let weights: [UInt8] = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
  private static let model: [String: [UInt8]] = [
    "config.json": Array("{}".utf8), "tokenizer.json": Array("{\"a\": 1}".utf8), "model.safetensors": weights,
    "pytorch_model.bin": [1, 2, 3], "onnx/model.onnx": [4], "README.md": [],
  ]

  private struct Fetched {
    var result: Result<HubFetch.Result, any Error>
    var remarks: [String]
    var pauses: [Double]

    var error: SFTError? {
      if case .failure(let error) = result { error as? SFTError } else { nil }
    }
  }

  private static func fetch(
    _ hub: HubServer, in folder: String, _ name: String = "some/model", dataset: Bool = false,
    revision: String = "main",
    include: [String] = [], environment more: [String: String] = [:],
    progress: @escaping (HubFetch.Progress) throws -> Void = { _ in }
  ) -> Fetched {
    var (remarks, pauses) = ([String](), [Double]())
    let variables = ["HF_HOME": folder, "HF_ENDPOINT": hub.endpoint].merging(more) { $1 }
    let result = Result {
      let name = try #require(HubName(dataset ? .dataset : .model, name))
      return try HubFetch(
        HubFetch.Options(name, revision: revision, include: include), environment: HubEnvironment { variables[$0] },
        remark: { remarks.append($0) }, pause: { pauses.append($0) }, progress: progress)()
    }
    return Fetched(result: result, remarks: remarks, pauses: pauses)
  }

  private static func incompletes(_ folder: String) -> [String] {
    let blobs = folder + "/hub/models--some--model/blobs"
    return ((try? directoryEntries(blobs)) ?? []).filter { $0.contains("incomplete") || $0.contains(".tmp-") }
  }

  // MARK: - What should be

  @Test func whatIsNeededIsFetchedOnceAndLaidOutAsTheHubDoes() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let result = try Self.fetch(hub, in: folder).result.get()
      #expect(result.files.map(\.path) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"])
      #expect(result.files.allSatisfy { !$0.cached } && result.commit == HubServer.commit)
      let repository = folder + "/hub/models--some--model"
      #expect(result.path == "\(repository)/snapshots/\(HubServer.commit)")
      for file in result.files {
        #expect(try readFile(result.path + "/" + file.path) == Self.model[file.path])
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: result.path + "/" + file.path)
        #expect(target == "../../blobs/" + HubServer.hash(file.path, Self.model[file.path] ?? []))
      }
      #expect(String(decoding: try readFile(repository + "/refs/main"), as: UTF8.self) == HubServer.commit)
      #expect(try readFile(folder + "/hub/CACHEDIR.TAG").starts(with: Array("Signature: 8a477f59".utf8)))
      #expect(Self.incompletes(folder) == [])
      // Found by name, as `--model some/model` does.
      let cache = try #require(HubCache { $0 == "HF_HOME" ? folder : nil })
      let name = try #require(HubName(.model, "some/model"))
      #expect(try cache.snapshot(of: name) { try fileExists($0 + "/config.json") } == result.path)
      let before = hub.paths.count
      let again = try Self.fetch(hub, in: folder).result.get()
      #expect(again.files.allSatisfy(\.cached) && again.fetchedBytes == 0 && hub.paths.count == before + 1)
    }
  }

  @Test func shardsAreThoseThatTheIndexNames() throws {
    let index = #"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#
    let files: [String: [UInt8]] = [
      "config.json": [123, 125], "model.safetensors.index.json": Array(index.utf8),
      "model-00001-of-00002.safetensors": [1, 2], "model-00002-of-00002.safetensors": [3],
      "consolidated.safetensors": [9], "original/params.json": [8],
    ]
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let result = try Self.fetch(hub, in: folder).result.get()
      #expect(
        result.files.map(\.path) == [
          "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
          "model.safetensors.index.json",
        ])
      #expect(result.files.allSatisfy { !$0.cached })
    }
    try withTemporaryFolder { (folder: String) throws -> Void in
      var files = files
      files["model-00002-of-00002.safetensors"] = nil
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let error = try #require(Self.fetch(hub, in: folder).error)
      #expect(error.kind == .badData)
      #expect(error.message == "the index names 'model-00002-of-00002.safetensors', which the repository does not have")
    }
  }

  @Test func aDatasetsFilesOrThoseOfPatterns() throws {
    let files: [String: [UInt8]] = [
      "data/train-00000-of-00001.parquet": [1, 2, 3], "data/test-00000-of-00001.parquet": [4], "README.md": [35],
      "script.py": [0], "한국어 1.jsonl": [123],
    ]
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let result = try Self.fetch(hub, in: folder, "some/data", dataset: true).result.get()
      #expect(Set(result.files.map(\.path)) == Set(files.keys.filter { $0 != "script.py" }))
      let path = result.path + "/data/train-00000-of-00001.parquet"
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path).hasPrefix("../../../blobs/"))
      #expect(hub.paths.first == "/api/datasets/some/data/revision/main?blobs=true")
      #expect(hub.paths.contains { $0.hasPrefix("/datasets/some/data/resolve/\(HubServer.commit)/") })
    }
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let some = Self.fetch(hub, in: folder, "some/data", dataset: true, include: ["data/train-*", "*.py"])
      #expect(try some.result.get().files.map(\.path) == ["data/train-00000-of-00001.parquet", "script.py"])
      let none = Self.fetch(hub, in: folder, "some/data", dataset: true, include: ["*.csv"])
      #expect(
        none.error?.kind == .notFound && none.error?.message == "no file of the repository is of the pattern '*.csv'")
    }
  }

  @Test func aRevisionIsEncodedAndItsReferenceKept() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      _ = try Self.fetch(hub, in: folder, revision: "refs/pr/1").result.get()
      #expect(hub.paths.first == "/api/models/some/model/revision/refs%2Fpr%2F1?blobs=true")
      let reference = folder + "/hub/models--some--model/refs/refs/pr/1"
      #expect(String(decoding: try readFile(reference), as: UTF8.self) == HubServer.commit)
      for revision in ["../../x", "/etc", "a//b", "-x", ""] {
        #expect(Self.fetch(hub, in: folder, revision: revision).error?.kind == .usage, "\(revision)")
      }
    }
  }

  @Test func theTokenGoesToTheHubAlone() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      try writeAtomically("hf_secret\n", to: folder + "/token")
      _ = try Self.fetch(hub, in: folder).result.get()
      for request in hub.server.requests {
        let sent = HubServer.header("authorization", request.head)
        #expect(sent == (request.head.contains(" /cdn/") ? nil : "Bearer hf_secret"), "\(request.head)")
      }
      #expect(hub.paths.contains { $0.hasPrefix("/cdn/") })
      // Written nowhere.
      for case let path as String in try #require(FileManager.default.enumerator(atPath: folder)) where path != "token"
      {
        guard let bytes = try? readFile(folder + "/" + path) else { continue }
        #expect(!String(decoding: bytes, as: UTF8.self).contains("hf_secret"), "\(path)")
      }
      let other = try HubServer(Self.model)
      defer { other.server.stop() }
      let silent = ["HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"]
      try createDirectory(folder + "/2")
      _ = try Self.fetch(other, in: folder + "/2", environment: silent).result.get()
      #expect(other.server.requests.allSatisfy { HubServer.header("authorization", $0.head) == nil })
      for token in ["two words", "line\nX-Evil: 1", "한글"] {
        #expect(Self.fetch(other, in: folder, environment: ["HF_TOKEN": token]).error?.kind == .usage)
      }
    }
  }

  @Test func offlineAsksNobody() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let fetched = Self.fetch(hub, in: folder, environment: ["HF_HUB_OFFLINE": "1"])
      #expect(fetched.error?.kind == .usage && hub.paths == [])
      #expect(Self.fetch(hub, in: folder, environment: ["HF_ENDPOINT": "ftp://x"]).error?.kind == .usage)
    }
  }

  @Test func withoutLinksFilesStandInTheSnapshot() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let plain = ["HF_HUB_DISABLE_SYMLINKS": "1"]
      let result = try Self.fetch(hub, in: folder, environment: plain).result.get()
      #expect(try readFile(result.path + "/model.safetensors") == Self.weights)
      #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: result.path + "/config.json")) == nil)
      #expect(try Self.fetch(hub, in: folder, environment: plain).result.get().files.allSatisfy(\.cached))
    }
  }

  @Test func twoAtOnceFetchEachFileOnce() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let results = Mutex<[Fetched]>([])
      DispatchQueue.concurrentPerform(iterations: 4) { _ in
        let fetched = Self.fetch(hub, in: folder)
        results.withLock { $0.append(fetched) }
      }
      for fetched in results.withLock({ $0 }) {
        #expect(try readFile(fetched.result.get().path + "/model.safetensors") == Self.weights)
      }
      #expect(hub.paths.count { $0.hasPrefix("/cdn/") } == 1)
    }
  }

  // MARK: - What should not be

  @Test func aCutGoesOnWhereItWas() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let starts = Mutex<[Int?]>([])
      let hub = try HubServer(Self.model) { _, path, start in
        guard path.hasPrefix("/cdn/") else { return nil }
        let count = starts.withLock { starts in
          starts.append(start)
          return starts.count
        }
        if count > 2 { return nil }
        // Says more than it sends.
        let sent = Array(Self.weights.dropFirst(start ?? 0).prefix(1_200_000))
        let whole = Self.weights.count - (start ?? 0)
        let head = start == nil ? "200 OK" : "206 Partial\r\nContent-Range: bytes \(start ?? 0)-2999999/3000000"
        return .bytes(Array("HTTP/1.1 \(head)\r\nContent-Length: \(whole)\r\nConnection: close\r\n\r\n".utf8) + sent)
      }
      defer { hub.server.stop() }
      let fetched = Self.fetch(hub, in: folder)
      #expect(try readFile(fetched.result.get().path + "/model.safetensors") == Self.weights)
      #expect(starts.withLock { $0 } == [nil, 1_200_000, 2_400_000])
      #expect(fetched.pauses.count == 2 && fetched.remarks.allSatisfy { $0.hasSuffix("trying again in 1 second.") })
    }
  }

  @Test func whoeverStopsGoesOnLater() throws {
    struct Stop: Error {}
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let stopped = Self.fetch(hub, in: folder) { if $0.done > 1_000_000 { throw Stop() } }
      #expect(throws: Stop.self) { try stopped.result.get() }
      #expect(Self.incompletes(folder).count == 1)
      let path = folder + "/hub/models--some--model/blobs/" + (Self.incompletes(folder).first ?? "")
      let there = try #require(try FileStatus(path)).size
      #expect(there > 500_000 && there < 3_000_000)
      // No part of a model is taken for one.
      #expect(try !fileExists(folder + "/hub/models--some--model/refs/main"))
      _ = try Self.fetch(hub, in: folder).result.get()
      #expect(HubServer.header("range", hub.downloads.last { $0.contains(" /cdn/") } ?? "") == "bytes=\(there)-")
      #expect(Self.incompletes(folder) == [])
    }
  }

  /// What another time left there is no beginning of this content.
  @Test func aWrongBeginningIsThrownAway() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model)
      defer { hub.server.stop() }
      let blobs = folder + "/hub/models--some--model/blobs"
      try createDirectory(blobs)
      let name = HubServer.hash("model.safetensors", Self.weights)
      for size in [10_000, 5_000_000] {
        try writeAtomically([UInt8](repeating: 7, count: size), to: "\(blobs)/\(name).incomplete")
        let result = try Self.fetch(hub, in: folder).result.get()
        #expect(try readFile(result.path + "/model.safetensors") == Self.weights)
        try removeTree(blobs + "/" + name)
      }
    }
  }

  @Test func anAnswerInFullBeginsAnew() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      // Ignores ranges.
      let hub = try HubServer(Self.model) { _, path, _ in
        path.hasPrefix("/cdn/") ? HubServer.answer(Self.weights) : nil
      }
      defer { hub.server.stop() }
      let blobs = folder + "/hub/models--some--model/blobs"
      try createDirectory(blobs)
      let name = HubServer.hash("model.safetensors", Self.weights)
      try writeAtomically(Array(Self.weights.prefix(1000)), to: "\(blobs)/\(name).incomplete")
      let result = try Self.fetch(hub, in: folder).result.get()
      #expect(try readFile(result.path + "/model.safetensors") == Self.weights)
    }
  }

  @Test func wrongContentsAreRefused() throws {
    let wrong = Array(Self.weights.dropLast()) + [Self.weights[0] ^ 1]
    let answers: [(MisbehavingServer.Behaviour, String)] = [
      (HubServer.answer(wrong), "what the server sent for model.safetensors has another hash than it says"),
      (
        HubServer.answer(Self.weights + [0]),
        "the server sends more than the 3,000,000 bytes that model.safetensors has"
      ),
    ]
    for (behaviour, message) in answers {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer(Self.model) { _, path, _ in path.hasPrefix("/cdn/") ? behaviour : nil }
        defer { hub.server.stop() }
        let error = try #require(Self.fetch(hub, in: folder).error)
        #expect(error.kind == .badData && error.message == message)
        #expect(Self.incompletes(folder) == [])
        let snapshots = folder + "/hub/models--some--model/snapshots/\(HubServer.commit)"
        #expect(try !directoryEntries(snapshots).contains("model.safetensors"))
      }
    }
  }

  @Test func statusesThatMayPassAreTriedAgain() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model) { number, _, _ in
        switch number {
        case 0: .status(429, headers: "Retry-After: 7\r\n")
        case 1: .status(503, headers: "")
        case 3: .raw("")
        default: nil
        }
      }
      defer { hub.server.stop() }
      let fetched = Self.fetch(hub, in: folder)
      _ = try fetched.result.get()
      #expect(fetched.pauses == [7, 2, 1])
      #expect(fetched.remarks.first == "the server asks to wait; trying again in 7 seconds.")
    }
    for (behaviour, words) in [
      (MisbehavingServer.Behaviour.status(500, headers: ""), "the server answers with status 500"),
      (
        .status(429, headers: "Retry-After: 86400\r\n"), "the server asks to wait 86400 seconds before the next request"
      ),
      (.raw("nonsense\r\n\r\n"), "cannot be reached: "),
    ] {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer(Self.model) { _, _, _ in behaviour }
        defer { hub.server.stop() }
        let fetched = Self.fetch(hub, in: folder)
        #expect(fetched.error?.kind == .inputOutput && fetched.error?.message.hasPrefix(words) == true)
        #expect(fetched.pauses == (words.contains("86400") ? [] : [1, 2, 4, 8, 16]))
      }
    }
  }

  @Test func refusalsAreExplained() throws {
    let cases: [(Int, String, [String: String], String, String)] = [
      (
        403, "X-Error-Code: GatedRepo\r\n", [:], "the model some/model is gated: its owner asks for an agreement first",
        "Agree there, and set HF_TOKEN to a token of that account"
      ),
      (
        401, "X-Error-Code: RepoNotFound\r\n", [:], "there is no model some/model, or it is private (status 401)",
        "See whether the name is right; for a private one set HF_TOKEN to a token"
      ),
      (
        404, "", ["HF_TOKEN": "t"], "there is no model some/model, or it is private (status 404)",
        "See whether the name is right, and whether the account of HF_TOKEN may read it"
      ),
      (404, "X-Error-Code: RevisionNotFound\r\n", [:], "the model some/model has no revision 'main'", ""),
    ]
    for (status, headers, variables, message, advice) in cases {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer(Self.model) { _, _, _ in .status(status, headers: headers) }
        defer { hub.server.stop() }
        let error = try #require(Self.fetch(hub, in: folder, environment: variables).error)
        #expect(error.kind == .notFound && error.message == message && error.advice ?? "" == advice)
      }
    }
  }

  @Test func redirectsEndSomewhere() throws {
    let places: [(String, String)] = [
      ("/again", "redirects more than 10 times"), ("file:///etc/passwd", "redirects to no address"),
      ("gopher://x/", "redirects to no address"),
    ]
    for (place, message) in places {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer(Self.model) { _, _, _ in .status(302, headers: "Location: \(place)\r\n") }
        defer { hub.server.stop() }
        let error = try #require(Self.fetch(hub, in: folder).error)
        #expect(error.kind == .inputOutput && error.message == message)
        #expect(hub.paths.count == (place == "/again" ? 11 : 1))
      }
    }
  }

  @Test func namesThatLeadElsewhereAreRefused() throws {
    let size = JSONValue.integer(1)
    let hash = JSONValue.string(String(repeating: "a", count: 40))
    let entries: [[(String, JSONValue)]] = [
      [("rfilename", .string("../../x")), ("size", size), ("blobId", hash)],
      [("rfilename", .string("/etc/passwd")), ("size", size), ("blobId", hash)],
      [("rfilename", .string("a\\b")), ("size", size), ("blobId", hash)],
      [("rfilename", .string("a/./b")), ("size", size), ("blobId", hash)],
      [("rfilename", .string("config.json")), ("size", size), ("blobId", .string("../../../x"))],
      [("rfilename", .string("config.json")), ("size", .integer(-1)), ("blobId", hash)],
      [("rfilename", .string("config.json")), ("blobId", hash)], [("size", size), ("blobId", hash)],
    ]
    for entry in entries {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer(["config.json": [1]], listed: .object(JSONObject(entry)))
        defer { hub.server.stop() }
        #expect(Self.fetch(hub, in: folder).error?.kind == .badData)
        #expect(hub.downloads == [])
      }
    }
    for list in ["[]", "{", #"{"sha": "../..", "siblings": []}"#, #"{"sha": "\#(HubServer.commit)"}"#] {
      try withTemporaryFolder { (folder: String) throws -> Void in
        let hub = try HubServer([:]) { _, _, _ in HubServer.answer(Array(list.utf8)) }
        defer { hub.server.stop() }
        #expect(Self.fetch(hub, in: folder).error?.kind == .badData)
      }
    }
  }

  @Test func aRepositoryWithoutSafetensorsIsExplained() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(["config.json": [1], "pytorch_model.bin": [1]])
      defer { hub.server.stop() }
      let error = try #require(Self.fetch(hub, in: folder).error)
      #expect(error.message == "the repository has no model.safetensors, only weights in \".bin\" of other names")
      #expect(error.advice?.contains("--revision") == true && hub.downloads == [])
    }
  }

  /// An answer without a length may be cut without anybody noticing, and some servers give a part of what is asked for.
  @Test func anAnswerThatEndsEarlyIsGoneOnWith() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model) { _, path, start in
        guard path.hasPrefix("/cdn/") else { return nil }
        let piece = Self.weights.dropFirst(start ?? 0).prefix(1_400_000)
        guard let start else { return .bytes(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".utf8) + piece) }
        let range = "bytes \(start)-\(start + piece.count - 1)/3000000"
        let head =
          "HTTP/1.1 206 P\r\nContent-Range: \(range)\r\nContent-Length: \(piece.count)\r\nConnection: close\r\n\r\n"
        return .bytes(Array(head.utf8) + piece)
      }
      defer { hub.server.stop() }
      let fetched = Self.fetch(hub, in: folder)
      #expect(try readFile(fetched.result.get().path + "/model.safetensors") == Self.weights)
      #expect(fetched.pauses == [1, 1] && fetched.remarks[0].hasPrefix("the answer ended early"))
    }
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model) { _, path, _ in
        path.hasPrefix("/cdn/") ? HubServer.answer(Array(Self.weights.prefix(999))) : nil
      }
      defer { hub.server.stop() }
      let fetched = Self.fetch(hub, in: folder)
      #expect(fetched.error?.message == "cannot be reached: the answer ended early" && fetched.pauses.count == 5)
    }
  }

  /// What a server has nothing of, or gives another part of, is begun anew.
  @Test(arguments: ["416 No", "206 P\r\nContent-Range: bytes 0-9/3000000"])
  func aRefusedRangeBeginsAnew(_ answer: String) throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model) { _, path, start in
        guard path.hasPrefix("/cdn/"), start != nil else { return nil }
        return .raw("HTTP/1.1 \(answer)\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789")
      }
      defer { hub.server.stop() }
      let blobs = folder + "/hub/models--some--model/blobs"
      try createDirectory(blobs)
      let name = HubServer.hash("model.safetensors", Self.weights)
      try writeAtomically(Array(Self.weights.prefix(1000)), to: "\(blobs)/\(name).incomplete")
      let fetched = Self.fetch(hub, in: folder)
      #expect(try readFile(fetched.result.get().path + "/model.safetensors") == Self.weights)
      #expect(fetched.pauses == [1])
    }
  }

  /// Names come when all contents are there: half of a dataset is none.
  @Test func aPartOfADatasetIsNotThere() throws {
    struct Stop: Error {}
    let files: [String: [UInt8]] = [
      "data/train-00000-of-00002.parquet": Self.weights,
      "data/train-00001-of-00002.parquet": Array(Self.weights.reversed()),
    ]
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let stopped = Self.fetch(hub, in: folder, "some/data", dataset: true) { if $0.done > 4_000_000 { throw Stop() } }
      #expect(throws: Stop.self) { try stopped.result.get() }
      let snapshot = folder + "/hub/datasets--some--data/snapshots/\(HubServer.commit)"
      #expect(try directoryEntries(snapshot) == [])
      let result = try Self.fetch(hub, in: folder, "some/data", dataset: true).result.get()
      #expect(result.files.map(\.cached) == [true, false])
    }
  }

  /// What links of another snapshot lead to stays where it is.
  @Test func filesWithoutLinksTakeNothingFromOthers() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      var files = Self.model
      files["vocab.json"] = files["tokenizer.json"]
      let hub = try HubServer(files)
      defer { hub.server.stop() }
      let linked = try Self.fetch(hub, in: folder).result.get()
      try createDirectory(folder + "/2")
      let plain = ["HF_HUB_DISABLE_SYMLINKS": "1"]
      _ = try Self.fetch(hub, in: folder, environment: plain).result.get()
      #expect(try readFile(linked.path + "/model.safetensors") == Self.weights)
      let before = hub.downloads.count
      let result = try Self.fetch(hub, in: folder + "/2", environment: plain).result.get()
      // One content under two names comes once.
      #expect(hub.downloads.count { $0.contains("/vocab.json") || $0.contains("/tokenizer.json") } == 2)
      #expect(hub.downloads.count > before && result.files.count == 5)
      #expect(try readFile(result.path + "/vocab.json") == readFile(result.path + "/tokenizer.json"))
      #expect(try directoryEntries(folder + "/2/hub/models--some--model/blobs") == [])
    }
  }

  @Test func placesAreThoseOfPythonsLibrary() throws {
    func folder(_ variables: [String: String]) -> String? { HubCache { variables[$0] }?.folder }
    #expect(folder(["HOME": "/h", "HF_HOME": "~/hf"]) == "/h/hf/hub")
    #expect(folder(["HOME": "/h", "D": "/data", "HF_HUB_CACHE": "$D/${HOME}x"]) == "/data//hx")
    #expect(folder(["HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/new"]) == "/old")
    #expect(folder(["HF_HOME": "/a$/b${/$NONE"]) == "/a$/b${/$NONE/hub")
  }

  @Test func theHubsOwnRateLimitIsHeard() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let hub = try HubServer(Self.model) { number, _, _ in
        number == 0 ? .status(429, headers: "RateLimit: \"api\";r=0;t=55\r\n") : nil
      }
      defer { hub.server.stop() }
      #expect(Self.fetch(hub, in: folder).pauses == [56])
    }
  }
}
