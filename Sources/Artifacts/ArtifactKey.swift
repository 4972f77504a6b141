import Core
import Files

/// One setting that matters to a stage, as readable text: part of an artifact's key, and recorded in its manifest.
public struct Setting: Sendable, Hashable, Codable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  public init(_ name: String, _ value: some CustomStringConvertible) { self.init(name, value.description) }
}

/// What a stage's result depends on. Equal keys mean equal results, so that the one that is there can be used.
public struct ArtifactKey: Sendable, Hashable {
  public let stage: String
  /// The stage's own version: raised whenever the same inputs and settings give a different result.
  public let version: Int
  /// Sorted by name.
  public let settings: [Setting]
  /// In the order that the stage gives them a meaning: keys of other artifacts, and digests of files' content.
  public let inputs: [Digest]
  public let digest: Digest

  /// `stage` must be a plain name (lower-case letters, digits, dashes), and no setting may be named twice.
  public init(stage: String, version: Int, settings: [Setting], inputs: [Digest]) {
    precondition(isPlainName(stage), "a stage's name is lower-case letters, digits and dashes: \(stage)")
    let sorted = settings.sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }
    precondition(zip(sorted, sorted.dropFirst()).allSatisfy { $0.name != $1.name }, "a setting is named twice")
    self.stage = stage
    self.version = version
    self.settings = sorted
    self.inputs = inputs
    digest = Self.digest(stage: stage, version: version, sortedSettings: sorted, inputs: inputs)
  }

  public var reference: ArtifactReference { ArtifactReference(stage: stage, digest: digest) }

  /// Every piece is framed by its length or count, so that no two different keys give the same bytes.
  static func digest(stage: String, version: Int, sortedSettings: [Setting], inputs: [Digest]) -> Digest {
    var digester = Digester()
    digester.update("sft artifact")
    digester.update(ManifestFormat.version)
    digester.update(stage)
    digester.update(version)
    digester.update(sortedSettings.count)
    for setting in sortedSettings {
      digester.update(setting.name)
      digester.update(setting.value)
    }
    digester.update(inputs.count)
    for input in inputs { digester.update(input) }
    return digester.finish()
  }
}

/// An artifact's address, as runs and pointers record it: `STAGE/DIGEST`.
public struct ArtifactReference: Sendable, Hashable, Codable, CustomStringConvertible {
  public let stage: String
  public let digest: Digest

  package init(stage: String, digest: Digest) {
    self.stage = stage
    self.digest = digest
  }

  /// nil unless `text` is a stage's name, a slash and a whole digest.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, isPlainName(parts[0]), let digest = Digest(hex: String(parts[1])) else { return nil }
    self.init(stage: String(parts[0]), digest: digest)
  }

  public var description: String { "\(stage)/\(digest.hex)" }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let reference = ArtifactReference(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an artifact's address")
    }
    self = reference
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// The folder's name: half of the digest is enough to tell apart, and the manifest holds all of it.
  package var folderName: String { String(digest.hex.prefix(32)) }
}

/// Lower-case letters, digits and dashes: safe as a file's name.
func isPlainName(_ name: some StringProtocol) -> Bool {
  !name.isEmpty && name.utf8.count <= 64
    && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
}
