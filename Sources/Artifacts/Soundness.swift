import Core
import Files
import Glibc

extension ArtifactStore {
  enum Inspection<Summary: Codable & Sendable> {
    case sound(Artifact<Summary>)
    case absent
    case damaged(String)
  }

  /// Locks the artifact for use and checks it: the manifest, and every file's presence, size and content (a big file's
  /// content only if it was touched, or if `full`).
  func inspect<Summary: Codable & Sendable>(
    _ reference: ArtifactReference, _ type: Summary.Type, full: Bool = false
  ) throws -> Inspection<Summary> {
    let path = path(of: reference)
    guard let status = try FileStatus(path) else { return .absent }
    guard status.kind == .directory else { return .damaged("it is not a folder") }
    let use: FileLock
    do { use = try FileLock(path, .shared, .existing) } catch let error as SFTError where error.kind == .notFound {
      return .absent
    }
    let manifestPath = path + "/" + ManifestFormat.fileName
    guard try fileExists(manifestPath) else { return .damaged("it has no manifest") }
    let manifest: Manifest<Summary>
    do { manifest = try Manifest<Summary>.read(manifestPath, key: reference.digest) } catch let error as SFTError {
      return .damaged(error.message)
    }
    if let damage = try damage(in: manifest.files, folder: path, full: full) { return .damaged(damage) }
    if !full { markUsed(path) }
    return .sound(Artifact(manifest, path: path, origin: .reused, use: use))
  }

  /// Moves a damaged artifact away; who still has it mapped keeps what it mapped.
  func setAside(_ reference: ArtifactReference, _ reason: String, _ consequence: String) throws {
    try setAside(path(of: reference), as: "\(reference.stage)-\(reference.folderName)", reason, consequence)
  }

  func setAside(_ path: String, as name: String, _ reason: String, _ consequence: String) throws {
    guard let place = try moveAside(path, as: name) else { return }
    notice("\(path) is damaged: \(reason). It was moved to \(place). \(consequence)")
  }

  /// Returns where it is now; nil where somebody else moved it.
  func moveAside(_ path: String, as name: String) throws -> String? {
    try createDirectory(setAsidePath)
    let place = "\(setAsidePath)/\(name)-\(UInt32.random(in: 0 ... .max))"
    guard rename(path, place) == 0 else {
      if errno == ENOENT { return nil }
      throw systemError("set aside", path)
    }
    return place
  }
}
