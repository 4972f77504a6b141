import Artifacts
import Core
import Files

/// Files that an artifact is made from: digested before they are read, and looked at again afterwards.
struct SourceFiles {
  private let paths: [String]
  private let identities: [String]
  /// Of each file's content, in order; taken from the store where the file is as it was.
  let contents: [Digest]

  init(_ paths: [String], _ store: ArtifactStore) throws {
    self.paths = paths
    let identities = try paths.map { try ArtifactStore.fileIdentity($0) }
    contents = try zip(paths, identities).map { path, identity in
      try store.cachedDigest(identity: identity) { try Digest(ofFile: path) }
    }
    self.identities = identities
  }

  /// Throws `badData` where a file is not what was digested: an artifact is known by its content, so what was read must
  /// have been that.
  func checkUnchanged() throws {
    for (path, identity) in zip(paths, identities) where try ArtifactStore.fileIdentity(path) != identity {
      throw SFTError(.badData, "was changed while it was being read", file: path, advice: "Run the same command again")
    }
  }
}
