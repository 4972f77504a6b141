import Artifacts
import Core
import Files

/// Files that an artifact is made from: digested before they are read, and looked at again afterwards.
struct SourceFiles {
  /// Of those that can change: what came through a stream is a copy.
  private let identities: [(path: String, identity: String)]
  /// Of each file's content, in order; taken from the store where the file is as it was.
  let contents: [Digest]

  init(_ paths: [String], _ store: ArtifactStore) throws {
    let identities = try paths.map { (path: $0, identity: try ArtifactStore.fileIdentity($0)) }
    contents = try identities.map { path, identity in
      try store.cachedDigest(identity: identity) { try Digest(ofFile: path) }
    }
    self.identities = identities
  }

  init(_ files: [MappedFile], _ store: ArtifactStore) throws {
    let regular = try SourceFiles(files.filter { !$0.isCopy }.map(\.path), store)
    var digests = regular.contents[...]
    contents = files.map { file in (file.isCopy ? nil : digests.popFirst()) ?? Digest(of: file) }
    identities = regular.identities
  }

  /// Throws `badData` where a file is not what was digested: an artifact is known by its content, so what was read must
  /// have been that.
  func checkUnchanged() throws {
    for (path, identity) in identities where try ArtifactStore.fileIdentity(path) != identity {
      throw SFTError(.badData, "was changed while it was being read", file: path, advice: "Run the same command again")
    }
  }
}
