import Core
import Files

extension ArtifactStore {
  /// Records that `key` is the newest artifact of the kind `name`, such as `prepared`, for verbs that are not told
  /// which to take.
  public func setLatest(_ name: String, _ reference: ArtifactReference) throws {
    precondition(isPlainName(name))
    try createDirectory(workspace + "/latest")
    try writeAtomically(reference.description + "\n", to: latestPath(name))
  }

  /// The newest artifact of the kind `name`, or nil where none was recorded. A damaged pointer counts as none.
  public func latest(_ name: String) -> ArtifactReference? {
    guard let text = try? readFile(latestPath(name), limit: 4096), text.last == 10 else { return nil }
    return ArtifactReference(String(decoding: text.dropLast(), as: UTF8.self))
  }

  private func latestPath(_ name: String) -> String { "\(workspace)/latest/\(name)" }

  /// All pointers, as references that keep an artifact from being collected.
  func latestReferences() -> [String: [Digest]] {
    var references: [String: [Digest]] = [:]
    for name in (try? directoryEntries(workspace + "/latest")) ?? [] {
      if let reference = latest(name) { references["latest \(name)"] = [reference.digest] }
    }
    return references
  }

  /// The digest that `compute` gave for `identity` before, or that it gives now. An identity is whatever tells one
  /// content from another without reading it: for a file its path, device, inode, size and modification time.
  ///
  /// Each is a small file of its own, so processes cannot disturb each other; a damaged one is ignored and written anew.
  /// A workspace that cannot be written only costs the next command the same work.
  public func cachedDigest(identity: String, compute: () throws -> Digest) throws -> Digest {
    if let known = knownDigest(identity: identity) { return known }
    let digest = try compute()
    keepDigest(digest, identity: identity)
    return digest
  }

  /// The digest that was kept for `identity`; nil where there is none.
  public func knownDigest(identity: String) -> Digest? {
    guard let text = try? readFile(digestPath(identity), limit: 4096),
      let digest = Digest(hex: String(decoding: text.prefix(64), as: UTF8.self)),
      text == Array(Self.record(digest, identity).utf8)
    else { return nil }
    return digest
  }

  /// Keeps a digest for `cachedDigest`. One that cannot be kept is said.
  public func keepDigest(_ digest: Digest, identity: String) {
    do {
      try createDirectory(workspace + "/digests")
      try writeAtomically(Self.record(digest, identity), to: digestPath(identity))
    } catch {
      notice("The digest was not kept for later: \(error)")
    }
  }

  private func digestPath(_ identity: String) -> String {
    "\(workspace)/digests/\(Digest(of: identity).hex.prefix(32))"
  }

  private static func record(_ digest: Digest, _ identity: String) -> String {
    "\(digest.hex) \(Digest(of: identity + "\n" + digest.hex).hex)\n"
  }

  /// What tells one version of a file from another without reading it: path, device, inode, size, modification time.
  /// Throws `notFound` where there is no file.
  public static func fileIdentity(_ path: String) throws -> String {
    guard let resolved = canonicalPath(path), let status = try FileStatus(resolved), status.kind == .file else {
      throw SFTError(.notFound, try fileExists(path) ? "is not a file" : "there is no such file", file: path)
    }
    return "\(resolved) \(status.device) \(status.inode) \(status.size) \(status.modified)"
  }
}
