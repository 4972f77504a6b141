import Core
import JSON
import Weights

/// Reads `adapter_config.json` strictly: what would change the arithmetic and is not supported is refused by its key.
struct PEFTConfigurationReader {
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
      targets: try targets(), layers: try layers(), tokens: try tokens(), savedModules: try savedModules())
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
      "rank_pattern", "alpha_pattern", "use_dora", "use_qalora", "lora_bias", "exclude_modules", "target_parameters",
      "layer_replication", "alora_invocation_tokens", "layers_pattern",
    ] where !isUnset(key) {
      throw failure(key, "is set, which is not supported")
    }
    // Without modules to save it says nothing that is not so anyway.
    if !isUnset("modules_to_save"), !isUnset("ensure_weight_tying") {
      throw failure("ensure_weight_tying", "is set beside 'modules_to_save', which is not supported")
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

  private func tokens() throws -> [TrainedTokens]? {
    let key = "trainable_token_indices"
    func indices(_ value: JSONValue) throws -> [Int32] {
      guard let elements = value.array, !elements.isEmpty else { throw failure(key, "is not a list of token ids") }
      return try elements.map { element in
        guard let token = element.int.flatMap({ Int32(exactly: $0) }), token >= 0 else {
          throw failure(key, "holds something that is no token id")
        }
        return token
      }
    }
    if isUnset(key) { return nil }
    guard case .object(let modules)? = object[key] else {
      return try object[key].map { [TrainedTokens(try indices($0))] }
    }
    return try modules.members.map { TrainedTokens(module: $0.key, try indices($0.value)) }
  }

  private func savedModules() throws -> [String]? {
    let key = "modules_to_save"
    if isUnset(key) { return nil }
    guard let elements = object[key]?.array else { throw failure(key, "is not a list of module names") }
    return try elements.map { element in
      guard let name = element.string else { throw failure(key, "is not a list of module names") }
      return name
    }
  }
}
