import Core
import Files

/// One artifact in the store, as `cache ls` shows it.
public struct ArtifactEntry: Sendable, Equatable, Codable {
  public var stage: String
  public var digest: Digest
  public var path: String
  /// Of all its files, the manifest included.
  public var bytes: Int
  /// ISO 8601, UTC.
  public var created: String
  public var lastUsed: String
  public var settings: [Setting]
  public var inputs: [Digest]
  /// Who needs it, directly or as an input of what they need; sorted.
  public var referencedBy: [String]

  public var reference: ArtifactReference { ArtifactReference(stage: stage, digest: digest) }
}

/// What `cache verify` found of one artifact, or of a part of a run.
public struct Verification: Sendable, Equatable, Codable {
  public var stage: String
  public var path: String
  public var bytes: Int
  /// nil where it is sound; otherwise an artifact was set aside.
  public var problem: String?

  public init(stage: String, path: String, bytes: Int, problem: String?) {
    (self.stage, self.path, self.bytes, self.problem) = (stage, path, bytes, problem)
  }
}

extension ArtifactStore {
  /// All artifacts that have a readable manifest, by stage and age. `references` says who needs which artifacts: a
  /// run's name and the digests in its `config.json`. The latest pointers are added to them.
  public func entries(references: [String: [Digest]] = [:]) throws -> [ArtifactEntry] {
    var entries: [ArtifactEntry] = []
    for folder in try artifactFolders() where TemporaryName(folder.name) == nil {
      guard let manifest = try? Manifest<AnySummary>.read(folder.path + "/" + ManifestFormat.fileName, key: nil),
        manifest.stage == folder.stage, manifest.key.hex.hasPrefix(folder.name)
      else { continue }
      entries.append(
        ArtifactEntry(
          stage: manifest.stage, digest: manifest.key, path: folder.path, bytes: treeSize(folder.path),
          created: manifest.created, lastUsed: try lastUse(folder.path), settings: manifest.settings,
          inputs: manifest.inputs, referencedBy: []))
    }
    let referrers = needed(references.merging(latestReferences()) { $0 + $1 }, among: entries)
    for index in entries.indices { entries[index].referencedBy = referrers[entries[index].digest] ?? [] }
    return entries.sorted { ($0.stage, $0.created, $0.digest.hex) < ($1.stage, $1.created, $1.digest.hex) }
  }

  /// ISO 8601, UTC: what `markUsed` recorded.
  func lastUse(_ folder: String) throws -> String {
    isoTime(Double((try FileStatus(folder + "/" + ManifestFormat.fileName)?.modified ?? 0) / 1_000_000_000))
  }

  /// Reads every artifact completely and sets aside what is damaged. One that is being made at this moment is left out.
  public func verify() throws -> [Verification] {
    var results: [Verification] = []
    for folder in try artifactFolders() where TemporaryName(folder.name) == nil {
      let name = "\(folder.stage)-\(folder.name)"
      guard let lock = try attemptLock(name) else { continue }
      defer { lock.removeFile() }
      let bytes = treeSize(folder.path)
      let problem = try problem(in: folder)
      if let problem { try setAside(folder.path, as: name, problem, "It will be made again when it is needed.") }
      results.append(Verification(stage: folder.stage, path: folder.path, bytes: bytes, problem: problem))
    }
    return results
  }

  private func problem(in folder: StoreFolder) throws -> String? {
    let manifest: Manifest<AnySummary>
    do {
      manifest = try Manifest<AnySummary>.read(folder.path + "/" + ManifestFormat.fileName, key: nil)
    } catch let error as SFTError {
      return error.kind == .notFound ? "it has no manifest" : error.message
    }
    let reference = ArtifactReference(stage: manifest.stage, digest: manifest.key)
    guard path(of: reference) == folder.path else { return "the manifest belongs to another artifact" }
    guard case .damaged(let reason) = try inspect(reference, AnySummary.self, full: true) else { return nil }
    return reason
  }

  struct StoreFolder {
    var stage: String
    var name: String
    var path: String
  }

  /// Whatever is in the stages' folders, unfinished ones too.
  func artifactFolders() throws -> [StoreFolder] {
    guard try directoryExists(artifactsPath) else { return [] }
    return try directoryEntries(artifactsPath).flatMap { stage -> [StoreFolder] in
      let folder = artifactsPath + "/" + stage
      guard try directoryExists(folder) else { return [] }
      return try directoryEntries(folder).map { StoreFolder(stage: stage, name: $0, path: folder + "/" + $0) }
    }
  }

  /// The build lock of a key, without waiting; `name` is `STAGE-FOLDER`.
  func attemptLock(_ name: String) throws -> FileLock? {
    try createDirectory(locksPath)
    return try FileLock.attempt("\(locksPath)/\(name).lock", .exclusive)
  }

  /// For every artifact that somebody needs, directly or as an input of another, who does.
  func needed(_ references: [String: [Digest]], among entries: [ArtifactEntry]) -> [Digest: [String]] {
    let inputs = Dictionary(entries.map { ($0.digest, $0.inputs) }) { first, _ in first }
    var referrers: [Digest: [String]] = [:]
    for (name, digests) in references.sorted(by: { $0.key < $1.key }) {
      var seen: Set<Digest> = []
      var open = digests
      while let digest = open.popLast() {
        guard let further = inputs[digest], seen.insert(digest).inserted else { continue }
        referrers[digest, default: []].append(name)
        open += further
      }
    }
    return referrers
  }
}
