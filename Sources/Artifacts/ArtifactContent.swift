import Core
import Files
import Glibc

/// Files up to this size are read and compared with their checksum at every use. A bigger one (quantised weights) is
/// taken as sound while its size and modification time are those recorded with the checksum, unless a full check is
/// asked for: reading gigabytes would cost more than the map that follows.
package let alwaysReadLimit = 64 << 20

/// The data files in an artifact's folder, each synced to the disk, with its checksum; sorted by name. Those of `adopted`
/// files are not taken again.
func sealFiles(in folder: String, _ adopted: AdoptedFiles, below prefix: String = "") throws -> [ArtifactFile] {
  var files: [ArtifactFile] = []
  for entry in try directoryEntries(folder) {
    let path = folder + "/" + entry
    let name = prefix + entry
    switch try FileStatus(path)?.kind {
    case .directory:
      files += try sealFiles(in: path, adopted, below: name + "/")
    case .file:
      guard TemporaryName(entry) == nil else {
        throw SFTError(.internalError, "a file of an artifact was not committed", file: path)
      }
      try syncFile(path)
      let status = try FileStatus(path)
      files.append(
        ArtifactFile(
          name: name, size: status?.size ?? 0, sha256: try adopted[name] ?? Digest(ofFile: path),
          modified: status?.modified ?? 0))
    default:
      throw SFTError(.internalError, "an artifact can hold only files and folders", file: path)
    }
  }
  syncDirectory(folder)
  return files
}

private func syncFile(_ path: String) throws {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw systemError("write", path) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw systemError("write", path) }
}

/// What is wrong with the data files in `folder`, or nil. `full` reads also the big ones.
func damage(in files: [ArtifactFile], folder: String, full: Bool) throws -> String? {
  for file in files {
    let path = folder + "/" + file.name
    guard let status = try FileStatus(path), status.kind == .file else { return "\(file.name) is missing" }
    guard status.size == file.size else {
      return "\(file.name) has \(grouped(status.size)) bytes, not \(grouped(file.size))"
    }
    if !full, status.modified == file.modified, file.size > alwaysReadLimit { continue }
    guard let digest = try? Digest(ofFile: path) else { return "\(file.name) cannot be read" }
    guard digest == file.sha256 else { return "\(file.name) differs from its checksum" }
    // A copied workspace has new times: remember that the content was right, or every use would read it again.
    if status.modified != file.modified { setModified(path, file.modified) }
  }
  return nil
}

/// Best effort: the folder may be read-only.
private func setModified(_ path: String, _ nanoseconds: Int) {
  let time = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
  let unchanged = timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)  // UTIME_OMIT
  _ = utimensat(AT_FDCWD, path, [unchanged, time], 0)
}

/// Records that an artifact was used now: its manifest's modification time. Best effort.
func markUsed(_ folder: String) { _ = utimensat(AT_FDCWD, folder + "/" + ManifestFormat.fileName, nil, 0) }

/// Bytes of all files below `path`, or of the file itself.
package func treeSize(_ path: String) -> Int {
  var info = stat()
  guard lstat(path, &info) == 0 else { return 0 }
  guard info.st_mode & S_IFMT == S_IFDIR else { return Int(info.st_size) }
  let names = (try? directoryEntries(path)) ?? []
  return names.reduce(0) { $0 + treeSize(path + "/" + $1) }
}
