import Files
import FoundationEssentials
import Training

/// When and by which command something was made. It stands beside what was made, not in it: the same command makes the same
/// bytes whenever it is given.
public struct Origin: Codable, Sendable, Equatable {
  /// ISO 8601 in UTC, such as 2026-11-24T17:46:02Z.
  public var date: String
  /// As a shell takes it.
  public var command: String

  /// Of this process, now.
  public static var here: Origin {
    let arguments = ["sft"] + CommandLine.arguments.dropFirst()
    return Origin(date: Date().ISO8601Format(), command: arguments.map(quoted).joined(separator: " "))
  }

  /// Of a run; nil where that is not recorded.
  static func read(_ run: RunFolder) -> Origin? {
    guard let bytes = try? readFile(run.origin, limit: 16 << 20) else { return nil }
    return try? JSONDecoder().decode(Origin.self, from: Data(bytes))
  }

  func write(_ run: RunFolder) throws {
    try writeAtomically(Array(try jsonEncoder(pretty: true).encode(self)) + [UInt8(ascii: "\n")], to: run.origin)
  }

  /// One word to a shell.
  static func quoted(_ argument: String) -> String {
    let isPlain = argument.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_./:=,@%+".unicodeScalars.contains($0)
    }
    return isPlain && !argument.isEmpty ? argument : "'" + argument.replacing("'", with: "'\\''") + "'"
  }
}
