import Core
import Files
import Yams

/// A settings file of another tool, in YAML or JSON.
struct ForeignFile {
  let path: String
  let members: ForeignMembers

  private static let mostBytes = 1 << 20

  /// Throws `badData` where it holds no names with values.
  init(_ path: String) throws {
    self.path = path
    guard var text = String(validating: try readFile(path, limit: Self.mostBytes), as: UTF8.self) else {
      throw SFTError(.badData, "is not valid UTF-8", file: path)
    }
    if text.unicodeScalars.first == "\u{feff}" { text.unicodeScalars.removeFirst() }
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw error.located(path)
    }
    guard let mapping = root?.mapping else {
      throw SFTError(
        .badData, "must hold names with values, as learning_rate: 2e-4", file: path, line: root?.mark?.line)
    }
    members = try ForeignMembers(mapping, of: nil, file: path)
  }
}
