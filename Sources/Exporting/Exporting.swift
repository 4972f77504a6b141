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
  /// A model folder as it is, without an adapter.
  case model
  /// A whole model for llama.cpp and Ollama, the adapter merged into its weights.
  case gguf
  /// An adapter for llama.cpp and Ollama.
  case ggufLoRA = "gguf-lora"
  /// ONNX graphs of a whole model in float32, the adapter merged into its weights.
  case onnx
}

/// Writes the model's folder as it is: configuration, weights and tokenizer byte by byte, and nothing that is not the model's; of
/// a GGUF file a copy, with a `Modelfile` for Ollama beside it.
public func exportModel(_ checkpoint: ModelCheckpoint, tokenizerFiles: [String], to folder: String) throws {
  try writeDirectoryAtomically(folder) { temporary in
    if checkpoint.isGGUF {
      try copyFiles([checkpoint.folder], to: temporary)
      let modelfile = Modelfile(base: "./" + lastPathComponent(checkpoint.folder))
      return try writeAtomically(modelfile.text, to: temporary + "/" + Modelfile.name)
    }
    try copyFiles([checkpoint.folder + "/config.json"] + (try checkpoint.weights.paths), to: temporary)
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
  }
}

/// What a merged model's weights are written as, in torch's words.
public enum WeightType: String, Sendable, CaseIterable {
  case float32
  /// 16 bits, rounded to nearest, ties to even.
  case float16, bfloat16

  fileprivate var tensorType: TensorType {
    switch self {
    case .float32: .f32
    case .float16: .f16
    case .bfloat16: .bf16
    }
  }
}

/// What weights are asked to be written as, in torch's words or in llama.cpp's.
public enum ExportedType: String, Sendable, CaseIterable {
  case float32, float16, bfloat16, f32, f16, bf16, q8_0, q4_0

  /// Of a model's folder; nil for what that has no form of.
  public var inFolder: WeightType? {
    switch self {
    case .float32, .f32: .float32
    case .float16, .f16: .float16
    case .bfloat16, .bf16: .bfloat16
    case .q8_0, .q4_0: nil
    }
  }

  /// Of a GGUF file.
  public var inGGUF: GGUFWeightType {
    switch self {
    case .float32, .f32: .f32
    case .float16, .f16: .f16
    case .bfloat16, .bf16: .bf16
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    }
  }
}

/// Writes `adapter` as a PEFT folder with the tokenizer's files beside it. `folder` is created, or replaced, as a whole.
///
/// `baseModel` becomes `base_model_name_or_path`: where AutoPeftModel looks for the base. `modelFolder` is the base's
/// here; with a new end token its generation configuration is written beside the adapter.
public func exportAdapter(
  _ adapter: Adapter, for decoder: Decoder, baseModel: String, baseDigest: Digest, quantization: String?,
  modelFolder: String, tokenizerFiles: [String], turns: ExportedTurns? = nil, to folder: String
) throws {
  try writeDirectoryAtomically(folder) { temporary in
    try AdapterFolder.write(
      adapter, for: decoder, to: temporary, baseModel: baseModel, baseDigest: baseDigest,
      quantization: quantization)
    try copyFiles(tokenizerFiles, to: temporary)
    try turns?.apply(to: temporary, model: modelFolder)
  }
}

/// Writes the model with `adapter` merged in (or as it is, for nil), in transformers' names; what belongs to another part of
/// it, such as a vision tower, as it is. One merged weight is in memory at a time. A tied head stays tied, unless the adapter
/// has a matrix of its own for it or for the embedding.
///
/// For nil, `dtype` is each tensor's own in the model's files (float32 for a wider one), and `config.json` stays as it is.
/// `origin` is what the model was made from where its own files say neither how weights are to be stored nor what belongs to
/// another part: a training of all weights keeps them in float32, and nothing else.
public func exportMerged(
  _ checkpoint: ModelCheckpoint, _ decoder: Decoder, adapter: Adapter?, origin: ModelCheckpoint? = nil,
  tokenizerFiles: [String], turns: ExportedTurns? = nil, to folder: String, dtype: WeightType? = nil, threads: Int
) throws {
  let origin = origin ?? checkpoint
  _ = try checkpoint.weights
  let linears = Dictionary(
    uniqueKeysWithValues: decoder.linears.enumerated().map { ($1.weightName, $0) })
  func storedType(_ name: String) throws -> TensorType {
    let stored = try origin.info(name).dtype ?? .f32
    return dtype?.tensorType ?? (stored == .f64 ? .f32 : stored)
  }
  var tensors = try checkpoint.configuration.expectedTensors.map { tensor in
    TensorOutput(tensor.name, tensor.shape, as: try storedType(tensor.name)) {
      if let adapter, let replaced = decoder.replacedTensor(tensor.name, with: adapter) { return replaced }
      guard let adapter, let linear = linears[tensor.name] else {
        return try checkpoint.tensor(tensor.name, shape: tensor.shape)
      }
      return decoder.mergedWeight(of: linear, with: adapter, threads: threads)
    }
  }
  let embedding = checkpoint.configuration.embedding
  let unties = adapter.map { decoder.unties(with: $0) } ?? false
  if unties, let adapter {
    tensors.append(
      TensorOutput(checkpoint.configuration.headName, embedding.shape, as: try storedType(embedding.name)) {
        decoder.head(with: adapter)
      })
  }
  try writeDirectoryAtomically(folder) { temporary in
    try writeSafetensors(tensors + (try otherParts(of: origin)), to: temporary + "/model.safetensors")
    let configuration = origin.folder + "/config.json"
    if let dtype {
      try writeConfiguration(from: configuration, to: temporary + "/config.json", dtype: dtype.rawValue)
    } else {
      try copyFiles([configuration], to: temporary)
    }
    if unties { try untieHead(in: temporary + "/config.json") }
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
    try turns?.apply(to: temporary, model: checkpoint.folder)
  }
}

/// Says in a `config.json` that the head has a matrix of its own.
func untieHead(in path: String) throws {
  guard var object = try parseJSONFile(path).object else {
    throw SFTError(.badData, "is not a JSON object", file: path)
  }
  object.set("tie_word_embeddings", .bool(false))
  // A model with vision has its language model's apart.
  if var text = object["text_config"]?.object, text["tie_word_embeddings"] != nil {
    text.set("tie_word_embeddings", .bool(false))
    object.set("text_config", .object(text))
  }
  try writeAtomically(JSONValue.object(object).serialized + "\n", to: path)
}

/// What belongs to another part of the model, such as its vision tower, byte for byte.
func otherParts(of checkpoint: ModelCheckpoint) throws -> [TensorOutput] {
  try checkpoint.otherParts.compactMap { name in
    let weights = try checkpoint.weights
    return weights.info(name).map { info in
      TensorOutput(name, info.dtype, info.shape, mapped: { try weights.bytes(of: name) })
    }
  }
}
