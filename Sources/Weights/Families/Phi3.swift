import Core

/// Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: Llama with one matrix for queries, keys and values, and one for gate and up
/// (transformers' Phi3ForCausalLM). Adapters and 4-bit blocks go over those matrices as they are.
enum Phi3: Family {
  static let headName = Llama.headName

  static func configuration(
    _ architecture: Architecture, _ reader: ConfigurationReader
  ) throws -> ModelConfiguration {
    var configuration = try Llama.base(architecture, reader, defaultTheta: 1e4)
    configuration.fusedProjections = true
    configuration.dropout.coversStream = true
    for key in ["resid_pdrop", "embd_pdrop"] { _ = try reader.number(key, default: 0, in: 0...1) }
    try reader.refuse(true: "attention_bias")
    let window = try Llama.window(reader, default: nil)
    let sliding = try Llama.slidingLayers(configuration.layers, reader) { _ in true }
    Llama.setWindow(&configuration, window) { sliding[$0] }
    return configuration
  }

  static func tensors(_ configuration: ModelConfiguration) -> [TensorSpecification] { Llama.tensors(configuration) }
  static func storedName(_ stored: String) -> StoredName { Llama.storedName(stored) }
}
