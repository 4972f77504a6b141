import Core
import Files
import FoundationEssentials

enum ManifestFormat {
  static let version = 1
  static let fileName = "manifest.json"
  static let sizeLimit = 64 << 20
}

/// One data file of an artifact.
public struct ArtifactFile: Sendable, Equatable, Codable {
  /// Relative to the artifact's folder.
  public var name: String
  public var size: Int
  public var sha256: Digest
  /// Nanoseconds since 1970, as it was when `sha256` was taken.
  var modified: Int

  /// Inside the folder, and not by way of "..".
  var isSafe: Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return !parts.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." } && !name.utf8.contains(0)
  }
}

/// What `manifest.json` says: written last, so that a folder that has one is whole. `checksum` is the SHA-256 of the
/// manifest's own text in which the checksum's digits are zeros.
package struct Manifest<Summary: Codable>: Codable {
  var format: Int
  var checksum: Digest
  var stage: String
  var version: Int
  var key: Digest
  var settings: [Setting]
  var inputs: [Digest]
  /// ISO 8601, UTC.
  var created: String
  var files: [ArtifactFile]
  /// Whatever the stage has to say about its result.
  package var summary: Summary

  var bytes: Int { files.reduce(0) { $0 + $1.size } }
}

/// Reads any summary, and keeps nothing of it.
struct AnySummary: Codable {
  init() {}
  init(from decoder: any Decoder) throws {}
  func encode(to encoder: any Encoder) throws {}
}

extension Manifest {
  /// The text of `manifest.json`, sealed with its checksum. Throws `internalError` if the summary has no JSON form.
  static func text(key: ArtifactKey, files: [ArtifactFile], summary: Summary) throws -> [UInt8] {
    let manifest = Manifest(
      format: ManifestFormat.version, checksum: .zero, stage: key.stage, version: key.version, key: key.digest,
      settings: key.settings, inputs: key.inputs, created: isoTime(Date().timeIntervalSince1970), files: files,
      summary: summary)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      // "checksum" sorts before every field that can hold 64 zeros.
      guard let text = SealedText.seal(Array(try encoder.encode(manifest)) + [10]) else {
        throw SFTError(.internalError, "the manifest has no checksum")
      }
      return text
    } catch let error as EncodingError {
      throw SFTError(.internalError, "the summary of a \(key.stage) artifact cannot be written as JSON: \(error)")
    }
  }

  /// Throws `badData`, with the reason as its message, unless the manifest is intact and describes the artifact that
  /// `key` names (nil: any).
  static func read(_ path: String, key: Digest?) throws -> Manifest {
    try parse(try readFile(path, limit: ManifestFormat.sizeLimit), path, key: key)
  }

  package static func parse(_ text: [UInt8], _ path: String, key: Digest?) throws -> Manifest {
    let manifest: Manifest
    do { manifest = try JSONDecoder().decode(Manifest.self, from: Data(text)) } catch {
      throw SFTError(.badData, "the manifest cannot be read", file: path)
    }
    guard manifest.format == ManifestFormat.version else {
      throw SFTError(.badData, "the manifest has format \(manifest.format), not \(ManifestFormat.version)", file: path)
    }
    guard SealedText.isIntact(text, manifest.checksum) else {
      throw SFTError(.badData, "the manifest has been changed since it was written", file: path)
    }
    let described = ArtifactKey.digest(
      stage: manifest.stage, version: manifest.version, sortedSettings: manifest.settings, inputs: manifest.inputs)
    guard described == manifest.key, key == nil || key == manifest.key else {
      throw SFTError(.badData, "the manifest belongs to another artifact", file: path)
    }
    guard manifest.files.allSatisfy({ $0.isSafe && (0..<(1 << 48)).contains($0.size) }) else {
      throw SFTError(.badData, "the manifest names a file outside its folder", file: path)
    }
    return manifest
  }
}

/// `2026-01-31T12:00:00Z`.
func isoTime(_ secondsSince1970: Double) -> String {
  Date(timeIntervalSince1970: secondsSince1970).formatted(.iso8601)
}
