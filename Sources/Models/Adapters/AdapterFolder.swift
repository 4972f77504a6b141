import Core
import Files
import FoundationEssentials
import JSON
import Kernels
import Weights

/// An adapter as PEFT saves it: `adapter_config.json` and `adapter_model.safetensors`.
///
/// Tensors are `base_model.model.MODULE.lora_A.weight` [r, in] and `.lora_B.weight` [out, r]. The base's digest stands in
/// the safetensors metadata, where PEFT does not look.
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
      adapter = try Adapter(configuration, for: decoder.linears)
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
      throw SFTError(.notFound, "there is no adapter here: \(configurationFile) is missing", file: folder)
    }
    return try PEFTConfigurationReader(path: path).read()
  }
}

/// `adapter_config.json` as PEFT 0.21 needs it.
private struct PEFTConfiguration: Encodable {
  var configuration: LoRAConfiguration
  var targets: [String]
  var fanInFanOut: Bool
  var baseModel: String?

  init(_ configuration: LoRAConfiguration, _ decoder: Decoder, baseModel: String?) {
    self.configuration = configuration
    self.baseModel = baseModel
    // "all-linear" would make PEFT choose by itself, so the modules are written out.
    let modules = Set(decoder.linears.map(\.module))
    let named = configuration.targets.filter { $0 != LoRAConfiguration.allLinear }
    targets = named.count == configuration.targets.count ? Array(Set(named)).sorted() : modules.sorted()
    fanInFanOut = decoder.isFanInFanOut
  }

  private enum Key: String, CodingKey {
    case alpha_pattern, base_model_name_or_path, bias, fan_in_fan_out, inference_mode, init_lora_weights
    case layers_pattern, layers_to_transform, lora_alpha, lora_dropout, modules_to_save, peft_type, peft_version, r
    case rank_pattern, revision, target_modules, task_type, use_dora, use_rslora
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    let none: String? = nil
    try container.encode([String: Int](), forKey: .alpha_pattern)
    try container.encode(baseModel, forKey: .base_model_name_or_path)
    try container.encode("none", forKey: .bias)
    try container.encode(fanInFanOut, forKey: .fan_in_fan_out)
    try container.encode(true, forKey: .inference_mode)
    try container.encode(true, forKey: .init_lora_weights)
    try container.encode(none, forKey: .layers_pattern)
    try container.encode(configuration.layers, forKey: .layers_to_transform)
    if let whole = Int(exactly: configuration.alpha) {
      try container.encode(whole, forKey: .lora_alpha)
    } else {
      try container.encode(configuration.alpha, forKey: .lora_alpha)
    }
    try container.encode(configuration.dropout, forKey: .lora_dropout)
    try container.encode(none, forKey: .modules_to_save)
    try container.encode("LORA", forKey: .peft_type)
    try container.encode("0.21.2", forKey: .peft_version)
    try container.encode(configuration.rank, forKey: .r)
    try container.encode([String: Int](), forKey: .rank_pattern)
    try container.encode(none, forKey: .revision)
    try container.encode(targets, forKey: .target_modules)
    try container.encode("CAUSAL_LM", forKey: .task_type)
    try container.encode(false, forKey: .use_dora)
    try container.encode(configuration.rankStabilized, forKey: .use_rslora)
  }
}

/// Reads `adapter_config.json` strictly: what would change the arithmetic and is not supported is refused by its key.
private struct PEFTConfigurationReader {
  let path: String
  let object: JSONObject

  init(path: String) throws {
    self.path = path
    guard let object = try parseJSONFile(path, limit: 16 << 20).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    self.object = object
  }

  func read() throws -> (LoRAConfiguration, baseModel: String?) {
    guard object["peft_type"]?.string == "LORA" else { throw failure("peft_type", "is not LORA") }
    try refuseVariants()
    guard let rank = object["r"]?.int, (1...65_536).contains(rank) else {
      throw failure("r", "is missing or not from 1 to 65536")
    }
    guard let alpha = object["lora_alpha"]?.double, alpha.isFinite, alpha > 0 else {
      throw failure("lora_alpha", "is missing or not a positive number")
    }
    let dropout = object["lora_dropout"]?.double ?? 0
    guard dropout >= 0, dropout < 1 else { throw failure("lora_dropout", "is not at least 0 and below 1") }
    let configuration = LoRAConfiguration(
      rank: rank, alpha: alpha, dropout: dropout, rankStabilized: object["use_rslora"]?.bool ?? false,
      targets: try targets(), layers: try layers())
    return (configuration, object["base_model_name_or_path"]?.string)
  }

  private func failure(_ key: String, _ message: String) -> SFTError {
    SFTError(.badData, "'\(key)' \(message)", file: path)
  }

  private func isUnset(_ key: String) -> Bool {
    switch object[key] {
    case nil, .null, .bool(false): true
    case .object(let members): members.members.isEmpty
    case .array(let elements): elements.isEmpty
    default: false
    }
  }

  private func refuseVariants() throws {
    for key in [
      "rank_pattern", "alpha_pattern", "modules_to_save", "use_dora", "use_qalora", "lora_bias", "exclude_modules",
      "trainable_token_indices", "target_parameters", "layer_replication", "alora_invocation_tokens", "layers_pattern",
    ] where !isUnset(key) {
      throw failure(key, "is set, which is not supported")
    }
    if let bias = object["bias"]?.string, bias != "none" { throw failure("bias", "is '\(bias)'; supported: none") }
  }

  private func targets() throws -> [String] {
    switch object["target_modules"] {
    case .string(LoRAConfiguration.allLinear): return [LoRAConfiguration.allLinear]
    case .array(let elements) where !elements.isEmpty:
      return try elements.map { element in
        guard let name = element.string else { throw failure("target_modules", "is not a list of names") }
        return name
      }.sorted()
    default: throw failure("target_modules", "is not a list of module names or all-linear")
    }
  }

  private func layers() throws -> [Int]? {
    switch object["layers_to_transform"] {
    case nil, .null: return nil
    case .integer(let layer): return [layer]
    case .array(let elements):
      return try elements.map { element in
        guard let layer = element.int else { throw failure("layers_to_transform", "is not a list of layers") }
        return layer
      }
    default: throw failure("layers_to_transform", "is not a list of layers")
    }
  }
}
