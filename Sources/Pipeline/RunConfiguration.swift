import Artifacts
import Core
import Files
import FoundationEssentials
import Kernels
import Training

/// `config.json` of a run: its data, its base, and every setting.
public struct RunConfiguration: Codable, Sendable, Equatable {
  public static let currentFormat = 1

  public var format: Int
  /// As the user named it.
  public var model: String
  public var baseDigest: Digest
  public var tokenizer: Digest
  public var templateName: String
  public var template: String
  public var maxLength: Int
  public var prepared: ArtifactReference
  public var settings: TrainingSettings
  /// How the base's linears are quantised; nil for full precision.
  public var quantization: QuantizationOptions?
  public var saveEvery: Int
  public var keepCheckpoints: Int
  /// Epochs asked for, where the steps were worked out from them.
  public var epochs: Double?
  /// Folder for TensorBoard's event files; a resumed run may have another.
  public var tensorboard: String?
  /// What the numbers were computed with.
  public var linearAlgebra: LinearAlgebraReport
  /// What a model trained from scratch is made from; nil for all others.
  public var pretrained: PretrainSource?

  /// What goes on with the run.
  public func resumeCommand(_ run: RunFolder) -> String {
    "sft \(settings.method == .pretrain ? "pretrain" : "train") --run \(run.name) --resume"
  }

  /// The same with another learning rate.
  func withRate(_ rate: Double?) -> RunConfiguration {
    var configuration = self
    if let rate { configuration.settings.schedule.learningRate = rate }
    return configuration
  }

  /// Has TensorBoard's event files go to another folder, if one is given; whichever it is, it is made.
  mutating func moveCharts(to folder: String?) throws {
    tensorboard = try (folder ?? tensorboard).map(TensorBoardLog.folder)
  }

  static func read(_ run: RunFolder) throws -> RunConfiguration {
    let data = Data(try readFile(run.configuration, limit: 16 << 20))
    do {
      let configuration = try JSONDecoder().decode(RunConfiguration.self, from: data)
      guard configuration.format == currentFormat else {
        throw SFTError(
          .badData, "the run was made by another version of sft (format \(configuration.format))",
          file: run.configuration)
      }
      return configuration
    } catch is DecodingError {
      throw SFTError(.badData, "is not a run's configuration", file: run.configuration)
    }
  }

  func write(_ run: RunFolder) throws {
    try writeAtomically(Array(try jsonEncoder(pretty: true).encode(self)) + [UInt8(ascii: "\n")], to: run.configuration)
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
