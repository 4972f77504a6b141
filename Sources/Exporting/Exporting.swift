import Core
import Files
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
}

/// Writes the model's folder as it is: configuration, weights and tokenizer byte by byte, and nothing that is not the model's.
public func exportModel(_ checkpoint: ModelCheckpoint, tokenizerFiles: [String], to folder: String) throws {
  try writeDirectoryAtomically(folder) { temporary in
    try copyFiles([checkpoint.folder + "/config.json"] + checkpoint.weights.paths, to: temporary)
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
  }
}

/// What a merged model's weights are written as, in torch's words.
public enum WeightType: String, Sendable, CaseIterable {
  case float32
  /// These two are rounded to nearest, ties to even.
  case float16, bfloat16

  fileprivate var tensorType: TensorType {
    switch self {
    case .float32: .f32
    case .float16: .f16
    case .bfloat16: .bf16
    }
  }
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
    try copyFiles(tokenizerFiles, to: temporary)
  }
}

/// Writes the model with `adapter` merged in (or as it is, for nil), in transformers' names; what belongs to another part of
/// it, such as a vision tower, as it is. One merged weight is in memory at a time.
///
/// For nil, `dtype` is each tensor's own in the model's files (float32 for a wider one), and `config.json` stays as it is.
/// `origin` is what the model was made from where its own files say neither how weights are to be stored nor what belongs to
/// another part: a training of all weights keeps them in float32, and nothing else.
public func exportMerged(
  _ checkpoint: ModelCheckpoint, _ decoder: Decoder, adapter: Adapter?, origin: ModelCheckpoint? = nil,
  tokenizerFiles: [String], to folder: String, dtype: WeightType? = nil, threads: Int
) throws {
  let origin = origin ?? checkpoint
  let linears = Dictionary(
    uniqueKeysWithValues: decoder.linears.enumerated().map { ($1.weightName, $0) })
  let tensors = try checkpoint.configuration.expectedTensors.map { tensor in
    let stored = try origin.info(tensor.name).dtype
    let type = dtype?.tensorType ?? (stored == .f64 ? .f32 : stored)
    return TensorOutput(tensor.name, tensor.shape, as: type) {
      guard let adapter, let linear = linears[tensor.name] else {
        return try checkpoint.tensor(tensor.name, shape: tensor.shape)
      }
      return decoder.mergedWeight(of: linear, with: adapter, threads: threads)
    }
  }
  try writeDirectoryAtomically(folder) { temporary in
    try writeSafetensors(tensors + otherParts(of: origin), to: temporary + "/model.safetensors")
    let configuration = origin.folder + "/config.json"
    if let dtype {
      try writeConfiguration(from: configuration, to: temporary + "/config.json", dtype: dtype.rawValue)
    } else {
      try copyFiles([configuration], to: temporary)
    }
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
  }
}

/// What belongs to another part of the model, such as its vision tower, byte for byte.
func otherParts(of checkpoint: ModelCheckpoint) -> [TensorOutput] {
  checkpoint.otherParts.compactMap { name in
    checkpoint.weights.info(name).map { info in
      TensorOutput(name, info.dtype, info.shape, mapped: { try checkpoint.weights.bytes(of: name) })
    }
  }
}
