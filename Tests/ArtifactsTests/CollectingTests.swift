import Core
import Files
import Glibc
import Testing

import Artifacts

@Suite struct CollectingTests {
  /// records → templated → tokenised, and one that nothing needs.
  private func filled() throws -> (workspace: Workspace, chain: [ArtifactReference], other: ArtifactReference) {
    let workspace = try Workspace()
    var chain: [ArtifactReference] = []
    for stage in ["records", "templated", "tokenised"] {
      let inputs = chain.last.map { [$0.digest] } ?? [Digest(of: "file")]
      chain.append(try workspace.make(key(stage, inputs: inputs)).reference)
    }
    return (workspace, chain, try workspace.make(key("tokenised", length: 1)).reference)
  }

  private func present(_ workspace: Workspace) throws -> Set<Digest> {
    Set(try workspace.store.entries().map(\.digest))
  }

  @Test func keepsWhatARunNeedsAndItsInputs() throws {
    let (workspace, chain, other) = try filled()
    let references = ["run first": [chain[2].digest]]
    #expect(try workspace.store.collect(references: references).isEmpty, "recent ones are kept")
    let planned = try workspace.store.collect(references: references, olderThan: -60, dryRun: true)
    #expect(try present(workspace).count == 4)
    let removed = try workspace.store.collect(references: references, olderThan: -60)
    #expect(removed == planned && removed.map(\.kind) == [.unused] && removed[0].bytes > 100_000)
    #expect(try present(workspace) == Set(chain.map(\.digest)))
    #expect(try workspace.store.existing(other, Summary.self) == nil)
    #expect(try workspace.store.collect(references: [:], olderThan: -60).count == 3)
    #expect(workspace.names("locks").isEmpty)
  }

  @Test func aLatestPointerKeeps() throws {
    let (workspace, chain, _) = try filled()
    try workspace.store.setLatest("prepared", chain[1])
    _ = try workspace.store.collect(references: [:], olderThan: -60)
    #expect(try present(workspace) == [chain[0].digest, chain[1].digest])
    let entries = try workspace.store.entries(references: ["run a": [chain[0].digest]])
    #expect(entries.map(\.referencedBy) == [["latest prepared", "run a"], ["latest prepared"]])
  }

  @Test func recentUseKeepsItAndItsInputs() throws {
    let (workspace, chain, _) = try filled()
    for reference in chain + [key("tokenised", length: 1).reference] {
      let manifest = workspace.store.path(of: reference) + "/manifest.json"
      let past = timespec(tv_sec: 1_000_000, tv_nsec: 0)
      #expect(utimensat(AT_FDCWD, manifest, [past, past], 0) == 0)
    }
    #expect(try workspace.store.existing(chain[2], Summary.self) != nil)
    #expect(try workspace.store.collect(references: [:], olderThan: 3600).isEmpty, "all are new")
    let used = try workspace.store.entries().first { $0.digest == chain[2].digest }?.lastUsed ?? ""
    #expect(used > "2020")
  }

  @Test func whatIsInUseStays() throws {
    let workspace = try Workspace()
    let artifact = try workspace.make(key())
    #expect(try workspace.store.collect(references: [:], olderThan: -60).isEmpty)
    #expect(workspace.exists(artifact))
  }

  @Test func leftoversOfKilledProcessesGo() throws {
    let (workspace, _, _) = try filled()
    let root = workspace.path + "/.sft"
    let gone = "2147483647-5"
    let folder = workspace.store.path(of: key().reference) + ".tmp-" + gone
    let own = TemporaryName.make(beside: root + "/runs/live")
    let dead = ["runs/a/checkpoints/step-1.tmp-" + gone, "latest/prepared.tmp-" + gone, "runs/b.old-" + gone]
    for path in [folder, own, root + "/runs/b"] + dead.map({ root + "/" + $0 }) { try createDirectory(path + "/x") }
    try createDirectory(root + "/runs/lost.old-" + gone)
    let removals = try workspace.store.collect(references: [:])
    #expect(removals.filter { $0.kind == .leftover }.count == 4)
    #expect(removals.filter { $0.kind == .restored }.count == 1)
    #expect(try !fileExists(folder) && directoryExists(own))
    #expect(workspace.names("runs").filter { !$0.hasPrefix("live") } == ["a", "b", "lost"])
  }

  @Test func verifyFindsEveryDamage() throws {
    let (workspace, chain, other) = try filled()
    #expect(try workspace.store.verify().allSatisfy { $0.problem == nil })
    try removeTree(workspace.store.path(of: chain[0]) + "/manifest.json")
    let data = workspace.store.path(of: other) + "/data.bin"
    var bytes = try readFile(data)
    bytes[9] ^= 4
    try writeAtomically(bytes, to: data)
    let results = try workspace.store.verify()
    #expect(results.count == 4 && results.filter { $0.problem != nil }.count == 2)
    #expect(workspace.names("set-aside").count == 2 && workspace.notices.count == 2)
    #expect(try workspace.store.verify().count == 2)
    #expect(try workspace.store.collect(references: [:]).map(\.kind) == [.setAside, .setAside])
    #expect(workspace.names("set-aside").isEmpty)
  }

  @Test func anEmptyWorkspaceIsFine() throws {
    let workspace = try Workspace()
    #expect(try workspace.store.entries().isEmpty)
    #expect(try workspace.store.verify().isEmpty)
    #expect(try workspace.store.collect(references: [:]).isEmpty)
  }
}
