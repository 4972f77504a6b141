import Artifacts
import Core
import Files
import Glibc
import Synchronization

/// A store in a fresh folder, removed when the object goes.
final class Workspace: Sendable {
  let path: String
  let store: ArtifactStore
  private let said: Said
  private let calls = Atomic<Int>(0)

  init() throws {
    path = "/tmp/sft-artifacts-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try createDirectory(path)
    let said = Said()
    store = ArtifactStore(workspace: path + "/.sft") { text in said.texts.withLock { $0.append(text) } }
    self.said = said
  }

  deinit { try? removeTree(path) }

  private final class Said: Sendable { let texts = Mutex<[String]>([]) }
  var notices: [String] { said.texts.withLock { $0 } }
  /// How often a body of `make` ran.
  var builds: Int { calls.load(ordering: .relaxed) }

  /// The artifact of `key`: `data.bin` and `deep/more.txt`.
  @discardableResult func make(_ key: ArtifactKey) throws -> Artifact<Summary> {
    try store.artifact(key) { try count($0) }
  }

  /// `write`, counted.
  func count(_ writer: ArtifactWriter) throws -> Summary {
    calls.add(1, ordering: .relaxed)
    return try Self.write(writer)
  }

  static func write(_ writer: ArtifactWriter) throws -> Summary {
    for (name, size) in [("data.bin", 100_000), ("deep/more.txt", 11)] {
      let file = try writer.file(name)
      try file.write((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) })
      try file.commit()
    }
    return Summary(records: 3, share: 0.25)
  }

  func exists(_ artifact: Artifact<Summary>) -> Bool { (try? fileExists(artifact.path + "/manifest.json")) == true }
  func names(_ folder: String) -> [String] { (try? directoryEntries(path + "/.sft/" + folder)) ?? [] }
}

struct Summary: Codable, Sendable, Equatable {
  var records: Int
  var share: Double
}

func key(_ stage: String = "tokenised", length: Int = 1024, inputs: [Digest] = []) -> ArtifactKey {
  ArtifactKey(
    stage: stage, version: 1, settings: [Setting("max-length", length), Setting("template", "alpaca")], inputs: inputs)
}
