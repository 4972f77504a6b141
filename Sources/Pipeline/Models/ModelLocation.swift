import Artifacts
import Core
import Embedded
import Files
import Tokenizing
import Weights

/// A model's folder or GGUF file, found from what a user typed or a run recorded.
public struct ModelLocation: Sendable {
  /// As it was asked for.
  public let name: String
  public let folder: String
  /// The embedded model's files, in use for as long as this lives.
  private let embedded: Artifact<EmbeddedStage.Summary>?

  fileprivate init(_ name: String, folder: String, embedded: Artifact<EmbeddedStage.Summary>? = nil) {
    (self.name, self.folder, self.embedded) = (name, folder, embedded)
  }

  public var isEmbedded: Bool { embedded != nil }

  /// How it is recorded: a folder by its real path, so that it is found from anywhere; a name of the cache, or `embedded`,
  /// as it is.
  public var recordedName: String { name == folder ? canonicalPath(folder) ?? folder : name }

  /// The paths of the tokenizer's files; none of a GGUF file, which holds its own.
  var tokenizerFiles: [String] {
    get throws { try Tokenizer.files(in: folder).map { folder + "/" + $0 } }
  }
}

extension Workspace {
  /// Finds a model: `embedded` is the one inside the program, laid out in the workspace, and a folder of that name is
  /// reached as `./embedded`; all else as `ModelFolder.resolve`.
  public func model(_ name: String) throws -> ModelLocation {
    if name == EmbeddedModel.name {
      let artifact = try EmbeddedStage.run(store)
      return ModelLocation(name, folder: artifact.path, embedded: artifact)
    }
    return ModelLocation(name, folder: try ModelFolder.resolve(name))
  }

  /// The name of the embedded model, for where nothing names another; remarks on it.
  func embeddedByDefault() -> String {
    remark("No \(OptionName.model) is given, and nothing in \(path) names one: the embedded model is used.")
    return EmbeddedModel.name
  }

  /// What a verb works on that is told nothing and takes no adapter: `name`, else the weights of the newest run where it
  /// trained all of them, else its base, else the newest prepared data's, else the embedded model.
  func modelOrDefault(_ name: String?) throws -> String {
    if let name { return name }
    guard let run = try recordedRun(nil) else { return try preparedSummary()?.model ?? embeddedByDefault() }
    return run.isModel ? try weights(of: run, checkpoint: nil).folder : run.configuration.model
  }

  /// The tokenizer of a model, or of a folder with only tokenizer files. Without `name`, the newest run's or prepared
  /// data's, else the embedded model's.
  public func tokenizer(_ name: String?) throws -> Tokenizer {
    let location = try tokenizerLocation(name)
    return try withExtendedLifetime(location) { try Tokenizer(folder: location.folder) }
  }

  /// Where that tokenizer's files are.
  func tokenizerLocation(_ name: String?) throws -> ModelLocation {
    let name = try name ?? recordedRun(nil)?.configuration.model ?? preparedSummary()?.model ?? embeddedByDefault()
    if name != EmbeddedModel.name, try directoryExists(name), try !Tokenizer.files(in: name).isEmpty {
      return ModelLocation(name, folder: name)
    }
    return try model(name)
  }

  /// The tokenizer that data was prepared with. Throws `badData` where the model has another by now.
  public func tokenizer(of data: PreparedData) throws -> Tokenizer {
    let tokenizer = try self.tokenizer(data.summary.model)
    guard tokenizer.digest == data.summary.tokenizer else {
      throw SFTError(
        .badData, "the tokenizer of \(data.summary.model) is not the one the data was prepared with",
        advice: "Run `sft prepare` with this model")
    }
    return tokenizer
  }
}
