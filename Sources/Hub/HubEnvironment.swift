import Core
import Files
import Glibc

/// What the environment says of the hub, by the variables of its own library.
public struct HubEnvironment: Sendable {
  /// Without a slash at its end; `$HF_ENDPOINT`, else https://huggingface.co.
  public let endpoint: String
  /// nil where no variable says where it could be.
  public let cache: HubCache?
  /// `$HF_TOKEN`, else `$HUGGING_FACE_HUB_TOKEN`, else what the file `$HF_TOKEN_PATH` or `$HF_HOME/token` holds; nil
  /// for none, and where `$HF_HUB_DISABLE_IMPLICIT_TOKEN` is set. It is sent to the endpoint's host alone, and written
  /// nowhere.
  let token: String?
  /// `$HF_HUB_OFFLINE`: nothing may be asked of the network.
  let isOffline: Bool
  /// Whether files of a snapshot are links, as usual, rather than files.
  let usesLinks: Bool
  /// Seconds to wait for an answer, and for the next byte of a download.
  let answerTimeout: Double
  let stallTimeout: Double

  /// Throws `usage` where a variable holds what it cannot.
  public init(_ environment: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) throws {
    func value(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
    func isSet(_ name: String) -> Bool { ["1", "ON", "YES", "TRUE"].contains(value(name)?.uppercased() ?? "") }
    func seconds(_ name: String) throws -> Double {
      guard let text = value(name) else { return 10 }
      guard let seconds = Double(text), seconds > 0, seconds <= 86_400 else {
        throw SFTError(.usage, "\(name) is \(quoted(text)), expected a number of seconds")
      }
      return seconds
    }
    var endpoint = value("HF_ENDPOINT") ?? "https://huggingface.co"
    while endpoint.hasSuffix("/") { endpoint.removeLast() }
    guard WebAddress(endpoint) != nil else {
      throw SFTError(
        .usage, "HF_ENDPOINT is \(quoted(endpoint)), expected an address that begins with https:// or http://")
    }
    self.endpoint = endpoint
    cache = HubCache(environment: environment)
    isOffline = isSet("HF_HUB_OFFLINE") || isSet("TRANSFORMERS_OFFLINE")
    usesLinks = !isSet("HF_HUB_DISABLE_SYMLINKS")
    answerTimeout = try seconds("HF_HUB_ETAG_TIMEOUT")
    stallTimeout = try seconds("HF_HUB_DOWNLOAD_TIMEOUT")
    token = isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") ? nil : try Self.token(value)
  }

  private static func token(_ value: (String) -> String?) throws -> String? {
    var (token, source) = (value("HF_TOKEN") ?? value("HUGGING_FACE_HUB_TOKEN"), "HF_TOKEN")
    func path(_ name: String) -> String? { value(name).map { expanded($0, value) } }
    let file =
      path("HF_TOKEN_PATH") ?? path("HF_HOME").map { $0 + "/token" }
      ?? path("XDG_CACHE_HOME").map { $0 + "/huggingface/token" }
      ?? path("HOME").map { $0 + "/.cache/huggingface/token" }
    if token == nil, let file, try fileExists(file) {
      (token, source) = (String(decoding: try readFile(file, limit: 4096), as: UTF8.self), file)
    }
    guard let text = token?.split(whereSeparator: \.isWhitespace).joined(separator: " "), !text.isEmpty else {
      return nil
    }
    guard text.utf8.allSatisfy({ (33...126).contains($0) }) else {
      throw SFTError(.usage, "the token in \(source) holds white space or characters that no token has")
    }
    return text
  }
}
