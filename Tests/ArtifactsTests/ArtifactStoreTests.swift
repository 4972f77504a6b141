import Core
import Dispatch
import Files
import Glibc
import Synchronization
import Testing

import Artifacts

@Suite struct ArtifactStoreTests {
  @Test func keysDependOnEverythingButTheOrderOfSettings() throws {
    let input = Digest(of: "input")
    let a = Setting("a", "1")
    let b = Setting("b", "2")
    let base = ArtifactKey(stage: "s", version: 1, settings: [a, b], inputs: [input])
    #expect(base == ArtifactKey(stage: "s", version: 1, settings: [b, a], inputs: [input]))
    let others = [
      ArtifactKey(stage: "t", version: 1, settings: [a, b], inputs: [input]),
      ArtifactKey(stage: "s", version: 2, settings: [a, b], inputs: [input]),
      ArtifactKey(stage: "s", version: 1, settings: [a], inputs: [input]),
      ArtifactKey(stage: "s", version: 1, settings: [Setting("a", "12"), Setting("b", "")], inputs: [input]),
      ArtifactKey(stage: "s", version: 1, settings: [Setting("a1b", "2")], inputs: [input]),
      ArtifactKey(stage: "s", version: 1, settings: [a, b], inputs: []),
      ArtifactKey(stage: "s", version: 1, settings: [a, b], inputs: [input, input]),
    ]
    #expect(Set((others + [base]).map(\.digest)).count == 8)
    #expect(ArtifactReference(base.reference.description) == base.reference)
    #expect(ArtifactReference("../\(base.digest)") == nil)
  }

  @Test func aSoundArtifactIsReusedWithoutWork() throws {
    let workspace = try Workspace()
    let built = try workspace.make(key())
    let again = try workspace.make(key())
    #expect(workspace.builds == 1)
    #expect(built.origin == .built && again.reused)
    #expect(again.summary == Summary(records: 3, share: 0.25))
    #expect(again.files.map(\.name) == ["data.bin", "deep/more.txt"] && again.bytes == 100_011)
    #expect(try readFile(try again.file("data.bin")).count == 100_000)
    #expect(again.setting("template") == "alpaca")
    #expect(throws: SFTError.self) { try again.file("none") }
    #expect(workspace.notices.isEmpty && workspace.names("locks").isEmpty)
    #expect(try workspace.store.existing(key().reference, Summary.self)?.digest == key().digest)
    #expect(try workspace.store.existing(key(length: 7).reference, Summary.self) == nil)
  }

  @Test func aChangedSettingRebuildsOnlyThat() throws {
    let workspace = try Workspace()
    let first = try workspace.make(key("templated"))
    try workspace.make(key("tokenised", length: 512, inputs: [first.digest]))
    try workspace.make(key("templated"))
    try workspace.make(key("tokenised", length: 256, inputs: [first.digest]))
    #expect(workspace.builds == 3)
    try workspace.make(key("tokenised", length: 512, inputs: [first.digest]))
    #expect(workspace.builds == 3)
  }

  /// What may happen to an artifact's files, by name.
  static let damages: [String: @Sendable (String) throws -> Void] = [
    "flipped byte": { folder in
      var bytes = try readFile(folder + "/data.bin")
      bytes[50_000] ^= 1
      try writeAtomically(bytes, to: folder + "/data.bin")
    },
    "truncated": { #expect(truncate($0 + "/data.bin", 99_999) == 0) },
    "missing file": { try removeTree($0 + "/deep") },
    "folder for a file": { folder in
      try removeTree(folder + "/data.bin")
      try createDirectory(folder + "/data.bin")
    },
    "missing manifest": { try removeTree($0 + "/manifest.json") },
    "empty manifest": { #expect(truncate($0 + "/manifest.json", 0) == 0) },
    "broken manifest": { #expect(truncate($0 + "/manifest.json", 300) == 0) },
    "changed summary": { folder in
      let text = String(decoding: try readFile(folder + "/manifest.json"), as: UTF8.self)
      let changed = text.split(separator: "\n").map { $0.contains("records") ? "\"records\": 4," : $0 }
      try writeAtomically(changed.joined(separator: "\n") + "\n", to: folder + "/manifest.json")
    },
    "another's manifest": { folder in
      let other = try Workspace()
      let artifact = try other.make(key(length: 2))
      try writeAtomically(try readFile(artifact.path + "/manifest.json"), to: folder + "/manifest.json")
    },
    "file in place of the folder": { folder in
      try removeTree(folder)
      try writeAtomically("x", to: folder)
    },
  ]

  @Test(arguments: damages.keys.sorted()) func damagedOnesAreSetAsideAndRebuilt(_ damage: String) throws {
    let workspace = try Workspace()
    let artifact = try workspace.make(key())
    try Self.damages[damage]?(artifact.path)
    let rebuilt = try workspace.make(key())
    #expect(rebuilt.origin == .built && workspace.builds == 2)
    #expect(workspace.names("set-aside").count == 1)
    #expect(workspace.notices.count == 1)
    #expect(try workspace.make(key()).reused)
  }

  @Test func noChangedManifestIsBelieved() throws {
    let workspace = try Workspace()
    let path = try workspace.make(key()).path + "/manifest.json"
    let text = try readFile(path)
    var random = SeededGenerator(seed: 4)
    for round in 0..<3000 {
      var changed = text
      let place = random.below(text.count)
      switch round % 3 {
      case 0: changed[place] ^= UInt8(1 << random.below(8))
      case 1: changed.removeSubrange(place..<min(text.count, place + 1 + random.below(40)))
      default: changed.insert(contentsOf: Array("[{\"\\u,9".utf8).prefix(1 + random.below(8)), at: place)
      }
      let error = #expect(throws: SFTError.self) { try Manifest<Summary>.parse(changed, path, key: key().digest) }
      #expect(error?.kind == .badData)
    }
    #expect(try Manifest<Summary>.parse(text, path, key: key().digest).summary.records == 3)
  }

  @Test func aSummaryOfAnotherShapeIsRebuilt() throws {
    let workspace = try Workspace()
    try workspace.make(key())
    let other = try workspace.store.artifact(key(), [String].self) { _ in ["new"] }
    #expect(other.origin == .built && other.summary == ["new"] && other.files.isEmpty)
  }

  @Test func aDamagedOneThatWasAskedForByNameIsRefused() throws {
    let workspace = try Workspace()
    let artifact = try workspace.make(key())
    try removeTree(artifact.path + "/data.bin")
    let error = #expect(throws: SFTError.self) { try workspace.store.existing(artifact.reference, Summary.self) }
    #expect(error?.kind == .badData)
    #expect(workspace.names("set-aside").count == 1)
    #expect(try workspace.store.existing(artifact.reference, Summary.self) == nil)
  }

  @Test func aBigFileIsReadAgainOnlyWhenTouched() throws {
    let workspace = try Workspace()
    let size = alwaysReadLimit + 4096
    func build(_ writer: ArtifactWriter) throws -> Int {
      try writeAtomically([UInt8](repeating: 7, count: size), to: writer.path("big"))
      return size
    }
    let artifact = try workspace.store.artifact(key(), build: build)
    let file = try artifact.file("big")
    let modified = try #require(try FileStatus(file)).modified
    #expect(utimensat(AT_FDCWD, file, nil, 0) == 0)
    #expect(try workspace.store.artifact(key(), build: build).reused)
    #expect(try FileStatus(file)?.modified == modified)
    let descriptor = open(file, O_WRONLY)
    #expect(pwrite(descriptor, [8] as [UInt8], 1, 5000) == 1)
    close(descriptor)
    #expect(try workspace.store.artifact(key(), build: build).origin == .built)
  }

  @Test func aFailingBodyLeavesNothing() throws {
    let workspace = try Workspace()
    #expect(throws: SFTError(.badData, "no")) {
      try workspace.store.artifact(key(), Summary.self) { writer in
        _ = try Workspace.write(writer)
        throw SFTError(.badData, "no")
      }
    }
    #expect(workspace.names("artifacts/tokenised").isEmpty && workspace.names("locks").isEmpty)
    #expect(throws: SFTError.self) { try workspace.store.artifact(key()) { _ in Double.nan } }
    #expect(workspace.names("artifacts/tokenised").isEmpty)
  }

  @Test func manyThreadsBuildOnce() throws {
    let workspace = try Workspace()
    let group = DispatchGroup()
    let sound = Atomic<Int>(0)
    for index in 0..<8 {
      // A queue each: a shared one may run them one after the other.
      DispatchQueue(label: "builder \(index)").async(group: group) {
        let artifact = try? workspace.store.artifact(key()) { writer in
          usleep(50_000)
          return try workspace.count(writer)
        }
        if artifact?.digest == key().digest { sound.add(1, ordering: .relaxed) }
      }
    }
    group.wait()
    #expect(workspace.builds == 1 && sound.load(ordering: .relaxed) == 8)
    #expect(workspace.names("artifacts/tokenised").count == 1)
  }

  @Test func pointersAndDigests() throws {
    let workspace = try Workspace()
    let store = workspace.store
    #expect(store.latest("prepared") == nil)
    try store.setLatest("prepared", key().reference)
    try store.setLatest("prepared", key(length: 5).reference)
    #expect(store.latest("prepared") == key(length: 5).reference)
    try writeAtomically("tokenised/12", to: workspace.path + "/.sft/latest/prepared")
    #expect(store.latest("prepared") == nil)

    var computed = 0
    func digest(_ identity: String) throws -> Digest {
      try store.cachedDigest(identity: identity) {
        computed += 1
        return Digest(of: "content of " + identity)
      }
    }
    #expect(try digest("a") == digest("a"))
    #expect(try digest("b") != digest("a") && computed == 2)
    for name in workspace.names("digests") {
      let path = workspace.path + "/.sft/digests/" + name
      var bytes = try readFile(path)
      bytes[3] = bytes[3] == 48 ? 49 : 48
      try writeAtomically(bytes, to: path)
    }
    #expect(try digest("a") == Digest(of: "content of a") && computed == 3)
  }
}
