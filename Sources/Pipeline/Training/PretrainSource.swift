import Artifacts
import Core
import Files
import JSON
import Tokenizing
import Weights

/// Where a model that is trained from scratch comes from; recorded with its run.
public struct PretrainSource: Sendable, Codable, Equatable {
  /// Files of plain text.
  public var files: [String]
  /// A `config.json`.
  public var configuration: String
  /// A folder with a tokenizer; nil to train one.
  public var tokenizer: String?
  /// Of the tokenizer that is trained.
  public var vocabularySize: Int?
  /// Tokens from one window to the next; nil for the model's context: no overlap.
  public var stride: Int?
  /// Share of the tokens that is kept for validation.
  public var validationShare: Double

  public init(
    files: [String], configuration: String, tokenizer: String?, vocabularySize: Int?, stride: Int?,
    validationShare: Double
  ) {
    self.files = files
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.vocabularySize = vocabularySize
    self.stride = stride
    self.validationShare = validationShare
  }
}

extension PretrainSource {
  /// The folder that was given, or the artifact of a tokenizer trained on the text.
  func tokenizerFolder(_ workspace: Workspace, threads: Int, _ event: (TrainEvent) -> Void) throws -> String {
    if let tokenizer { return tokenizer }
    guard let size = vocabularySize else {
      throw SFTError(
        .usage, "there is no tokenizer",
        advice: "Give \(OptionName.tokenizer) DIR, or \(OptionName.vocabSize) N to train one")
    }
    let sources = try SourceFiles(files, workspace.store)
    let key = ArtifactKey(
      stage: "tokenizer", version: 1,
      settings: [Setting("vocabulary", size), Setting("minimum", TrainedTokenizer.standardMinimumCount)],
      inputs: sources.contents)
    let artifact: Artifact<Int> = try workspace.store.artifact(key) { writer in
      event(.note("training a tokenizer of \(grouped(size)) tokens"))
      let tokenizer = try TrainedTokenizer(training: files, vocabularySize: size, threads: threads)
      try sources.checkUnchanged()
      try tokenizer.write(to: writer.folder)
      return tokenizer.vocabularyCount
    }
    return artifact.path
  }

  /// The given configuration with the tokenizer's end of text, and its size where it is trained here.
  func configurationObject(_ tokenizer: Tokenizer, _ endOfText: Int32) throws -> JSONObject {
    let path = configuration
    guard var object = try parseJSONFile(path, limit: 16 << 20).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    func set(_ key: String, _ value: JSONValue) {
      object.members = object.members.filter { $0.key != key } + [(key, value)]
    }
    if self.tokenizer == nil { set("vocab_size", .integer(tokenizer.vocabularyCount)) }
    for key in ["bos_token_id", "eos_token_id"] { set(key, .integer(Int(endOfText))) }
    set("dtype", .string("float32"))
    let model = try ModelConfiguration(object, path: path)
    if object["architectures"] == nil { set("architectures", .array([.string(model.architecture.className)])) }
    guard model.quantizationMethod == nil else {
      throw SFTError(.badData, "'quantization_config' is set, but a new model is in full precision", file: path)
    }
    guard tokenizer.vocabularyCount <= model.vocabularySize else {
      throw SFTError(
        .badData,
        "'vocab_size' is \(grouped(model.vocabularySize)), too small for the tokenizer's "
          + "\(grouped(tokenizer.vocabularyCount)) tokens", file: path)
    }
    return object
  }
}
