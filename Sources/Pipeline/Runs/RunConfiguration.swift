import Artifacts
import Core
import Files
import FoundationEssentials
import Kernels
import Training

/// `config.json` of a run: its data, its base, and every setting.
public struct RunConfiguration: Codable, Sendable, Equatable {
  /// 2: with a checksum, and with manifests beside the weights.
  public static let currentFormat = 2

  public var format: Int
  /// As the user named it.
  public var model: String
  public var baseDigest: Digest
  public var tokenizer: Digest
  public var templateName: String
  public var template: String
  /// How the template lays records out; nil for a prompt template.
  public var layout: RecordedLayout?
  public var maxLength: Int
  public var prepared: ArtifactReference
  public var settings: TrainingSettings
  /// How the base's linears are quantised; nil for full precision.
  public var quantization: QuantizationOptions?
  public var saveEvery: Int
  public var keepCheckpoints: Int
  /// Epochs asked for, where the steps were worked out from them.
  public var epochs: Double?
  /// Tokens whose rows are trained beside the adapter, as they were asked for; nil where they were not.
  public var trainedTokens: [String]?
  /// Folder for TensorBoard's event files; a resumed run may have another.
  public var tensorboard: String?
  /// What the numbers were computed with.
  public var linearAlgebra: LinearAlgebraReport
  /// What a model trained from scratch is made from; nil for all others.
  public var pretrained: PretrainSource?

  /// What goes on with the run.
  public func resumeCommand(_ run: RunFolder) -> String {
    "sft \(settings.method == .pretrain ? "pretrain" : "train") \(OptionName.run) \(run.name) \(OptionName.resume)"
  }

  /// This configuration with another learning rate; unchanged for nil.
  func withRate(_ rate: Double?) -> RunConfiguration {
    var configuration = self
    if let rate { configuration.settings.schedule.learningRate = rate }
    return configuration
  }

  /// Has TensorBoard's event files go to another folder, if one is given; whichever it is, it is made.
  mutating func moveEvents(to folder: String?) throws {
    tensorboard = try (folder ?? tensorboard).map(TensorBoardLog.folder)
  }

  static func read(_ run: RunFolder) throws -> RunConfiguration {
    let text = try readFile(run.configuration, limit: 16 << 20)
    func damage(_ words: String) -> SFTError {
      SFTError(
        .badData, words, file: run.configuration,
        advice: "Start it again under another name; `sft runs rm \(run.name)` removes this one")
    }
    guard let format = try? JSONDecoder().decode(FormatOnly.self, from: Data(text)).format else {
      throw damage("is not a run's configuration")
    }
    guard format == currentFormat else { throw damage("the run was made by another version of sft (format \(format))") }
    guard let sealed = try? JSONDecoder().decode(Sealed.self, from: Data(text)),
      SealedText.isIntact(text, sealed.checksum)
    else { throw damage("is damaged: it is not what the run was started with") }
    return sealed.configuration
  }

  func write(_ run: RunFolder) throws {
    let text = Array(try jsonEncoder(pretty: true).encode(Sealed(checksum: .zero, configuration: self)))
    guard let sealed = SealedText.seal(text + [UInt8(ascii: "\n")]) else {
      throw SFTError(.internalError, "the configuration has no checksum", file: run.configuration)
    }
    try writeAtomically(sealed, to: run.configuration)
  }
}

private struct FormatOnly: Decodable { var format: Int }

/// A configuration as it is stored: its members, and the checksum of the text among them.
private struct Sealed: Codable {
  var checksum: Digest
  var configuration: RunConfiguration

  private enum Key: CodingKey { case checksum }

  init(checksum: Digest, configuration: RunConfiguration) {
    (self.checksum, self.configuration) = (checksum, configuration)
  }

  init(from decoder: any Decoder) throws {
    checksum = try decoder.container(keyedBy: Key.self).decode(Digest.self, forKey: .checksum)
    configuration = try RunConfiguration(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(checksum, forKey: .checksum)
    try configuration.encode(to: encoder)
  }
}

/// Sorted keys, so that the same value is the same text.
public func jsonEncoder(pretty: Bool = false) -> JSONEncoder {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
  return encoder
}

/// For what other programs read: keys in snake case, whatever the property is called.
public func reportEncoder(pretty: Bool = false) -> JSONEncoder {
  let encoder = jsonEncoder(pretty: pretty)
  encoder.keyEncodingStrategy = .convertToSnakeCase
  return encoder
}

/// For what `reportEncoder` wrote.
public func reportDecoder() -> JSONDecoder {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return decoder
}
