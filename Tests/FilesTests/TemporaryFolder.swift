import Files
import Glibc

/// A fresh folder, removed when the object goes.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = "/tmp/sft-files-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try createDirectory(path)
  }

  deinit { try? removeTree(path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }
}
