import Core
import Files
import JSON
import Quantizing
import Weights

/// Writes the model with some of its linears in 4 bits, as bitsandbytes serialises them, and a `config.json` that says so:
/// transformers and bitsandbytes load the folder, and so does `ModelCheckpoint`.
///
/// `matrices` is by tensor name; every other tensor is written as it is stored (float64 as float32), so that nothing large is
/// ever in float32, and so is what belongs to another part of the model, such as its vision tower. `skipped` are the module
/// names left out, which the loader must know of.
public func exportQuantized(
  _ checkpoint: ModelCheckpoint, _ matrices: [String: QuantizedMatrix], settings: QuantizationSettings,
  skipped: [String], tokenizerFiles: [String], to folder: String
) throws {
  let tensors = try checkpoint.configuration.expectedTensors.flatMap { tensor -> [TensorOutput] in
    if let matrix = matrices[tensor.name] { return matrix.tensors(name: tensor.name) }
    let (stored, weights) = (try checkpoint.storedName(tensor.name), try checkpoint.weights)
    if let dtype = try checkpoint.info(tensor.name).dtype, dtype != .f64 {
      return [TensorOutput(tensor.name, dtype, tensor.shape, mapped: { try weights.bytes(of: stored) })]
    }
    return [
      TensorOutput(tensor.name, tensor.shape, as: .f32) { try checkpoint.tensor(tensor.name, shape: tensor.shape) }
    ]
  }
  let skipped = skipped + otherModules(of: checkpoint)
  try writeDirectoryAtomically(folder) { temporary in
    try writeSafetensors(tensors + (try otherParts(of: checkpoint)), to: temporary + "/model.safetensors")
    try writeConfiguration(
      from: checkpoint.folder + "/config.json", to: temporary + "/config.json",
      adding: ("quantization_config", quantizationConfiguration(settings, skipped: skipped)))
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
  }
}

/// Names of the modules that `otherParts` are in, from the top as transformers 5 matches them, and as older versions have them
/// at the top.
private func otherModules(of checkpoint: ModelCheckpoint) -> [String] {
  let names = checkpoint.otherParts.compactMap { name in
    name.split(separator: ".").first { $0 != "model" }.map(String.init)
  }
  return Set(names).sorted().flatMap { ["model." + $0, $0] }
}

/// transformers' `BitsAndBytesConfig`.
private func quantizationConfiguration(_ settings: QuantizationSettings, skipped: [String]) -> JSONValue {
  .object(
    JSONObject([
      ("quant_method", .string("bitsandbytes")),
      ("load_in_4bit", .bool(true)),
      ("load_in_8bit", .bool(false)),
      ("bnb_4bit_compute_dtype", .string("float32")),
      ("bnb_4bit_quant_storage", .string("uint8")),
      ("bnb_4bit_quant_type", .string(settings.kind.rawValue)),
      ("bnb_4bit_use_double_quant", .bool(settings.doubleQuantization)),
      ("llm_int8_enable_fp32_cpu_offload", .bool(false)),
      ("llm_int8_has_fp16_weight", .bool(false)),
      ("llm_int8_skip_modules", skipped.isEmpty ? .null : .array((["lm_head"] + skipped).map { .string($0) })),
      ("llm_int8_threshold", .number(6)),
    ]))
}
