import Artifacts
import Core
import Embedded
import Files
import Glibc
import Training

/// The folder where artifacts and runs live.
public struct Workspace: Sendable {
  public let path: String
  public let store: ArtifactStore
  let notice: @Sendable (String) -> Void
  /// For what matters only if a verb does what it was asked for.
  let remark: @Sendable (String) -> Void
  /// How far something long is; may throw to stop it.
  let progress: @Sendable (WorkProgress) throws -> Void

  /// `explicit`, else `$SFT_WORKSPACE`, else `.sft`. Touches nothing yet. `notice` gets what the user is told at once,
  /// `remark` what only makes sense beside a result, and `progress` how far something long is, which it may throw to stop.
  public init(
    _ explicit: String?, remark: (@Sendable (String) -> Void)? = nil,
    progress: @escaping @Sendable (WorkProgress) throws -> Void = { _ in }, notice: @escaping @Sendable (String) -> Void
  ) {
    let environment = getenv("SFT_WORKSPACE").map { String(cString: $0) }
    // An empty one is that of a variable that was not set.
    path = [explicit, environment].compactMap { $0 }.first { !$0.isEmpty } ?? ".sft"
    store = ArtifactStore(workspace: path, notice: notice)
    self.notice = notice
    self.remark = remark ?? notice
    self.progress = progress
  }

  /// The same folder, of which nobody is told anything but how far it is.
  var silent: Workspace { Workspace(path, progress: progress) { _ in } }

  public var runsPath: String { path + "/runs" }

  /// What may still be written where the workspace is or will be; nil where the system does not say.
  var freeBytes: Int? {
    var place = path
    while (try? directoryExists(place)) != true, place != ".", place != "/" { place = parentPath(place) }
    var info = statvfs()
    return statvfs(place, &info) == 0 ? Int(info.f_bavail) * Int(info.f_frsize) : nil
  }

  /// Throws `usage` for a name that is not a plain folder name.
  public func run(_ name: String) throws -> RunFolder {
    let allowed = name.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0)
    }
    guard allowed, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 100 else {
      throw SFTError(.usage, "'\(name)' cannot be a run's name", advice: "Use letters, digits, '-', '_' and '.'")
    }
    return RunFolder(runsPath + "/" + name)
  }

  /// Artifacts that runs were made from, for `cache ls` and `cache gc`.
  public func references() throws -> [String: [Digest]] {
    Dictionary(
      uniqueKeysWithValues: try runs().map { run in
        let base = run.configuration.model == EmbeddedModel.name ? [EmbeddedStage.key.digest] : []
        return ("run \(run.folder.name)", [run.configuration.prepared.digest] + base)
      })
  }
}
