import Artifacts
import Core
import Embedded

/// The embedded model as an ordinary folder: the same files, mapped and checked like any other model's.
enum EmbeddedStage {
  static let name = "embedded"
  static let version = 1

  struct Summary: Codable, Sendable, Equatable {
    var bytes: Int
  }

  /// Of this program's model: that of another build has another place, and is not found by this one.
  static var key: ArtifactKey {
    ArtifactKey(stage: name, version: version, settings: [], inputs: [EmbeddedModel.digest])
  }

  static func run(_ store: ArtifactStore) throws -> Artifact<Summary> {
    try store.artifact(key) { writer in
      let files = EmbeddedModel.files
      for file in files {
        let output = try writer.file(file.name)
        try output.write(file.bytes)
        try output.commit()
      }
      return Summary(bytes: files.reduce(0) { $0 + $1.bytes.count })
    }
  }
}
