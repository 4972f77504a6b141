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

  /// `explicit`, else `$SFT_WORKSPACE`, else `.sft`. Touches nothing yet. `notice` gets remarks for the user.
  public init(_ explicit: String?, notice: @escaping @Sendable (String) -> Void) {
    let environment = getenv("SFT_WORKSPACE").map { String(cString: $0) }
    // An empty one is that of a variable that was not set.
    path = [explicit, environment].compactMap { $0 }.first { !$0.isEmpty } ?? ".sft"
    store = ArtifactStore(workspace: path, notice: notice)
    self.notice = notice
  }

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

  /// Runs that have a readable configuration, the newest last. One whose configuration cannot be read is passed over
  /// with a notice.
  public func runs() throws -> [RecordedRun] {
    guard try directoryExists(runsPath) else { return [] }
    return try directoryEntries(runsPath).compactMap { name -> (Int, RecordedRun)? in
      let folder = RunFolder(runsPath + "/" + name)
      guard let status = try FileStatus(folder.configuration) else { return nil }
      do {
        return (status.modified, RecordedRun(folder: folder, configuration: try RunConfiguration.read(folder)))
      } catch let error as SFTError {
        notice("The run \(name) is passed over: \(error)")
        return nil
      }
    }.sorted { ($0.0, $0.1.folder.name) < ($1.0, $1.1.folder.name) }.map(\.1)
  }

  /// The run of that name, or the newest; nil where there is none and none was named.
  public func recordedRun(_ name: String?) throws -> RecordedRun? {
    guard let name else { return try runs().last }
    let folder = try run(name)
    guard try fileExists(folder.configuration) else {
      throw SFTError(
        .notFound, "there is no run '\(name)' in \(runsPath)", advice: "See `sft runs` for those that are there")
    }
    return RecordedRun(folder: folder, configuration: try RunConfiguration.read(folder))
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

/// A run as found in the workspace.
public struct RecordedRun: Sendable {
  public var folder: RunFolder
  public var configuration: RunConfiguration

  /// Whether the run's weights are a whole model's rather than an adapter's.
  public var isModel: Bool { configuration.settings.lora == nil }

  /// The weights to use: those of a checkpoint, else the best, else the last: an adapter's folder, or a model's. Says in
  /// words which they are.
  public func weights(checkpoint: Int?) throws -> (folder: String, description: String) {
    if let checkpoint {
      let path = folder.checkpoint(checkpoint)
      guard try directoryExists(path) else {
        let steps = folder.checkpointSteps().map(String.init).joined(separator: ", ")
        throw SFTError(
          .notFound, "run \(folder.name) has no checkpoint of step \(checkpoint)",
          advice: steps.isEmpty ? nil : "It has \(steps)")
      }
      return (path, "checkpoint of step \(checkpoint) of run \(folder.name)")
    }
    if try directoryExists(folder.best) { return (folder.best, "best weights of run \(folder.name)") }
    let last = isModel ? folder.model : folder.adapter
    if try directoryExists(last) { return (last, "last weights of run \(folder.name)") }
    throw SFTError(
      .notFound, "run \(folder.name) has no weights yet", file: folder.path,
      advice: "Go on with `\(configuration.resumeCommand(folder))`")
  }
}
