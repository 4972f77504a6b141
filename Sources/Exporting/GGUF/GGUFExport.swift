import Core
import Files
import GGUF
import Models
import Weights

/// What was written, and what is to be known of it.
public struct GGUFExportReport: Sendable, Equatable {
  /// The file's name in the folder.
  public var file: String
  /// Tensors by llama.cpp's name of their type.
  public var types: [String: Int]
  /// Matrices that are in half precision because their rows are no whole blocks, by their names in the file.
  public var halved: [String]
  /// What llama.cpp does otherwise, or knows less of, than the model's files say, each a sentence without a full stop.
  public var remarks: [String]
}

/// Writes the model with `adapter` merged in (or as it is, for nil) as a folder with `NAME.gguf`, a whole model for llama.cpp
/// with its tokenizer and chat template, and a `Modelfile` for Ollama. One tensor is in memory at a time. `folder` is created,
/// or replaced, as a whole.
///
/// Throws `badData`, naming what it is, for a model that llama.cpp would compute otherwise than its files say, and for a
/// value that `dtype` cannot hold; `usage` where the base is stored in 4 bits; and what reading and writing throw.
public func exportGGUF(
  _ checkpoint: ModelCheckpoint, _ decoder: Decoder, adapter: Adapter?, tokenizer: GGUFTokenizer,
  dtype: GGUFWeightType, name: String, to folder: String, threads: Int
) throws -> GGUFExportReport {
  guard checkpoint.quantizedNames.isEmpty else {
    throw SFTError(
      .usage, "the model is stored in 4 bits, which GGUF has in no equal form", file: checkpoint.folder,
      advice: "Give \(OptionName.model) the folder that it was quantised from")
  }
  let configuration = checkpoint.configuration
  guard tokenizer.tokenCount == configuration.vocabularySize else {
    throw SFTError(
      .internalError,
      "the tokenizer lists \(tokenizer.tokenCount) tokens for the model's \(configuration.vocabularySize) rows",
      file: checkpoint.folder)
  }
  let parameters = try GGUFHyperparameters(configuration)
  let tensors = GGUFTensors(
    checkpoint: checkpoint, decoder: decoder, adapter: adapter, architecture: parameters.architecture, dtype: dtype,
    threads: threads)
  let outputs = try tensors.outputs(factors: GGUFRotary(configuration, parameters.architecture).factors)
  var metadata = ggufHeader(parameters.architecture, type: "model", name: tokenizer.modelName(name))
  metadata["general.file_type"] = .uint32(dtype.fileType)
  metadata.add(parameters.metadata)
  metadata.add(tokenizer.metadata)
  let file = ggufFileName(name)
  try writeDirectoryAtomically(folder) { temporary in
    try writeGGUF(metadata, outputs, to: temporary + "/" + file)
    try writeAtomically(
      Modelfile(base: "./" + file, stops: tokenizer.stops).text, to: temporary + "/" + Modelfile.name)
  }
  return GGUFExportReport(
    file: file, types: Dictionary(outputs.map { ($0.type.name, 1) }, uniquingKeysWith: +),
    halved: dtype == .f16 ? [] : outputs.filter { $0.type == .f16 }.map(\.name),
    remarks: parameters.remarks + tokenizer.remarks)
}

/// Keys that every file begins with.
func ggufHeader(_ architecture: GGUFArchitecture, type: String, name: String) -> GGUFMetadata {
  var metadata = GGUFMetadata()
  metadata["general.architecture"] = .string(architecture.name)
  metadata["general.type"] = .string(type)
  metadata["general.name"] = .string(name)
  // Of how blocks are laid out; it has not changed since 2023.
  metadata["general.quantization_version"] = .uint32(2)
  return metadata
}

/// `name` as a file's name: what is not a letter, a digit or one of `.-_` becomes `-`.
public func ggufFileName(_ name: String) -> String {
  let kept = name.unicodeScalars.map { scalar -> Character in
    let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
    return isPlain || ".-_".unicodeScalars.contains(scalar) ? Character(scalar) : "-"
  }
  let stem = String(kept.drop { $0 == "." || $0 == "-" })
  return (stem.isEmpty ? "model" : String(stem.prefix(200))) + ".gguf"
}

extension GGUFMetadata {
  /// Sets every key of `other`.
  mutating func add(_ other: GGUFMetadata) {
    for key in other.keys { self[key] = other[key] }
  }
}
