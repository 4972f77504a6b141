import Core
import Files
import FoundationEssentials
import Kernels
import Weights

/// An adapter as PEFT saves it: `adapter_config.json` and `adapter_model.safetensors`.
///
/// Tensors are `base_model.model.MODULE.lora_A.weight` [r, in] and `.lora_B.weight` [out, r]; of `trainable_token_indices`
/// `base_model.model.MODULE.token_adapter.trainable_tokens_delta` [tokens, C], and of `modules_to_save` the module's own. The
/// base's digest stands in the safetensors metadata, where PEFT does not look.
public enum AdapterFolder {
  public static let configurationFile = "adapter_config.json"
  public static let weightsFile = "adapter_model.safetensors"
  private static let tensorPrefix = "base_model.model."
  private static let digestKey = "sft.base_digest"
  private static let quantizationKey = "sft.quantization"

  /// What an adapter folder says of itself, before a base is at hand.
  public struct Description: Sendable {
    public var configuration: LoRAConfiguration
    /// `base_model_name_or_path`, where it has one.
    public var baseModel: String?
    /// nil for adapters made by other tools.
    public var baseDigest: Digest?
    /// How the base was quantised while it was trained, in words; nil for a base in full precision.
    public var quantization: String?
    /// Tensor names as stored, with shape and dtype.
    public var tensors: [(name: String, info: TensorInfo)]
  }

  /// Throws `notFound` where a file is missing, `badData` for what is not a plain LoRA adapter.
  public static func describe(_ folder: String) throws -> Description {
    let (configuration, baseModel) = try readConfiguration(folder)
    let file = try SafetensorsFile(folder + "/" + weightsFile)
    return Description(
      configuration: configuration, baseModel: baseModel,
      baseDigest: file.metadata[digestKey].flatMap(Digest.init(hex:)), quantization: file.metadata[quantizationKey],
      tensors: file.names.compactMap { name in file.tensors[name].map { (name, $0) } })
  }

  /// Reads an adapter for a decoder. Throws `badData`, naming the tensor, where the two do not fit.
  public static func read(_ folder: String, for decoder: Decoder) throws -> Adapter {
    let (configuration, _) = try readConfiguration(folder)
    let path = folder + "/" + weightsFile
    let file = try SafetensorsFile(path)
    let adapter: Adapter
    do {
      adapter = try Adapter(configuration, for: decoder)
    } catch let error as SFTError {
      throw SFTError(
        .badData, "does not fit this model: \(error.message)", file: folder + "/" + configurationFile,
        advice: error.advice)
    }
    var unexpected = Set(file.names)
    for tensor in adapter.tensors {
      let name = tensorPrefix + tensor.name
      guard unexpected.remove(name) != nil else {
        throw SFTError(
          .badData, "tensor '\(name)' is missing", file: path, advice: "The adapter belongs to another model")
      }
      let values = adapter.values(tensor)
      let stored = try file.floats(name, shape: tensor.shape)
      values.baseAddress?.update(from: stored.pointer, count: values.count)
    }
    if let name = unexpected.min() {
      throw SFTError(
        .badData, "tensor '\(name)' is not one this model's adapter would have", file: path,
        advice: "The adapter belongs to another model")
    }
    try checkFinite(adapter, path)
    return adapter
  }

  /// Writes an adapter folder; `folder` must exist. Both files appear whole or not at all.
  public static func write(
    _ adapter: Adapter, for decoder: Decoder, to folder: String, baseModel: String?, baseDigest: Digest?,
    quantization: String? = nil
  ) throws {
    let tensors = adapter.tensors.map { tensor in
      TensorOutput(tensorPrefix + tensor.name, .f32, tensor.shape) { sink in
        try sink(UnsafeRawBufferPointer(adapter.values(tensor)))
      }
    }
    var metadata = ["format": "pt"]
    metadata[digestKey] = baseDigest?.hex
    metadata[quantizationKey] = quantization
    try writeSafetensors(tensors, metadata: metadata, to: folder + "/" + weightsFile)
    let configuration = PEFTConfiguration(adapter.configuration, decoder, baseModel: baseModel)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeAtomically(
      Array(try encoder.encode(configuration)) + [UInt8(ascii: "\n")], to: folder + "/" + configurationFile)
  }

  private static func checkFinite(_ adapter: Adapter, _ path: String) throws {
    for index in 0..<adapter.count where !adapter.parameters.pointer[index].isFinite {
      throw SFTError(.badData, "holds a value that is not finite", file: path)
    }
  }

  private static func readConfiguration(_ folder: String) throws -> (LoRAConfiguration, baseModel: String?) {
    let path = folder + "/" + configurationFile
    guard try fileExists(path) else {
      throw SFTError(
        .notFound, "there is no adapter here: \(configurationFile) is missing", file: folder,
        advice: folder.lowercased().hasSuffix(".gguf")
          ? "Give a PEFT folder or a run's: adapters for llama.cpp are written, not read" : nil)
    }
    return try PEFTConfigurationReader(path: path).read()
  }
}
