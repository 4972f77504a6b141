import FoundationEssentials

/// When and by which command something was made.
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

  /// One word to a shell.
  static func quoted(_ argument: String) -> String {
    let isPlain = argument.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_./:=,@%+".unicodeScalars.contains($0)
    }
    return isPlain && !argument.isEmpty ? argument : "'" + argument.replacing("'", with: "'\\''") + "'"
  }
}
