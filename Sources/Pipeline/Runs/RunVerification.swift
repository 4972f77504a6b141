import Artifacts
import Core
import Files
import Training

extension Workspace {
  /// Reads what every run has written and compares it with its checksums; nothing is changed. A run that is being trained at
  /// this moment is left out.
  public func verifyRuns() throws -> [Verification] {
    try runNames().flatMap { name -> [Verification] in
      let folder = RunFolder(runsPath + "/" + name)
      guard !folder.isTrained else { return [] }
      let settings = verification(folder.configuration) { _ = try RunConfiguration.read(folder) }
      return try [settings]
        + folder.sealedFolders().map { place in
          verification(place) { try FolderManifest.read(place).check(place) }
        }
    }
  }

  private func verification(_ path: String, _ check: () throws -> Void) -> Verification {
    var problem: String?
    do { try check() } catch let error as SFTError {
      problem = error.file.map { lastPathComponent($0) + " " }.map { $0 + error.message } ?? error.message
    } catch { problem = "\(error)" }
    return Verification(stage: "run", path: path, bytes: treeSize(path), problem: problem)
  }
}
