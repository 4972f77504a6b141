/// A repository of the Hugging Face hub.
public struct HubName: Sendable, Equatable {
  public enum Kind: String, Sendable {
    case model, dataset
  }

  public let kind: Kind
  /// `name` or `owner/name`.
  public let text: String

  /// nil where `text` is no name that the hub allows: one or two parts of letters, digits, `-`, `_` and `.`, of which
  /// none starts with a dot or a dash, or holds `..` or `--`.
  public init?(_ kind: Kind, _ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), text.utf8.count <= 200, parts.allSatisfy(Self.isPart) else { return nil }
    (self.kind, self.text) = (kind, text)
  }

  private static func isPart(_ part: Substring) -> Bool {
    guard let first = part.first, first != ".", first != "-" else { return false }
    return !hasPair(part, ".") && !hasPair(part, "-")
      && part.unicodeScalars.allSatisfy {
        $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0))
      }
  }

  private static func hasPair(_ text: Substring, _ character: Character) -> Bool {
    zip(text, text.dropFirst()).contains { $0 == character && $1 == character }
  }

  /// Its folder in the cache.
  public var folder: String { kind.rawValue + "s--" + text.split(separator: "/").joined(separator: "--") }
}
