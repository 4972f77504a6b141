import Core
import Files
import JSON
import Models
import Weights

/// The formats that other tools load.
public enum ExportFormat: String, Sendable, CaseIterable {
  /// An adapter folder for PEFT.
  case peft
  /// A whole model folder for transformers, the adapter merged into its weights.
  case merged
}

/// Writes `adapter` as a PEFT folder with the tokenizer's files beside it. `folder` is created, or replaced, as a whole.
///
/// `baseModel` becomes `base_model_name_or_path`: where AutoPeftModel looks for the base.
public func exportAdapter(
  _ adapter: Adapter, for decoder: Decoder, baseModel: String, baseDigest: Digest, quantization: String?,
  tokenizerFiles: [String],
  to folder: String
) throws {
  try writeDirectoryAtomically(folder) { temporary in
    try AdapterFolder.write(
      adapter, for: decoder, to: temporary, baseModel: baseModel, baseDigest: baseDigest,
      quantization: quantization)
    try copy(tokenizerFiles, to: temporary)
  }
}

/// Writes the model with `adapter` merged in (or as it is, for nil): float32, in transformers' names. One merged weight is
/// in memory at a time.
public func exportMerged(
  _ checkpoint: ModelCheckpoint, _ decoder: Decoder, adapter: Adapter?, tokenizerFiles: [String],
  to folder: String, threads: Int
) throws {
  let linears = Dictionary(
    uniqueKeysWithValues: decoder.linears.enumerated().map { ($1.weightName, $0) })
  let tensors = checkpoint.configuration.expectedTensors.map { tensor in
    TensorOutput(tensor.name, .f32, tensor.shape) { sink in
      let values: FloatTensor
      if let adapter, let linear = linears[tensor.name] {
        values = decoder.mergedWeight(of: linear, with: adapter, threads: threads)
      } else {
        values = try checkpoint.tensor(tensor.name, shape: tensor.shape)
      }
      try values.withValues { try sink(UnsafeRawBufferPointer($0)) }
    }
  }
  try writeDirectoryAtomically(folder) { temporary in
    try writeSafetensors(tensors, to: temporary + "/model.safetensors")
    try writeConfiguration(from: checkpoint.folder + "/config.json", to: temporary + "/config.json")
    try copyCompanions(of: checkpoint, tokenizerFiles, to: temporary)
  }
}

/// The base's `config.json` with the dtype of what was written, and perhaps one more member.
func writeConfiguration(
  from source: String, to path: String, adding member: (key: String, value: JSONValue)? = nil
) throws {
  guard var object = try parseJSONFile(source).object else {
    throw SFTError(.badData, "is not a JSON object", file: source)
  }
  object.members = object.members.filter { $0.key != member?.key }.map { member in
    ["dtype", "torch_dtype"].contains(member.key) ? (member.key, .string("float32")) : member
  }
  if let member { object.members.append(member) }
  try writeAtomically(JSONValue.object(object).serialized + "\n", to: path)
}

/// The tokenizer's files, and how the model generates.
func copyCompanions(of checkpoint: ModelCheckpoint, _ tokenizerFiles: [String], to folder: String) throws {
  let generation = checkpoint.folder + "/generation_config.json"
  try copy(tokenizerFiles + (fileExists(generation) ? [generation] : []), to: folder)
}

func copy(_ files: [String], to folder: String) throws {
  for file in files { try writeAtomically(try readFile(file), to: folder + "/" + lastPathComponent(file)) }
}
