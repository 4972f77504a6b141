import Core
import Kernels
import Weights

/// A tensor of the embedding, the head or the final norm that an adapter trains, as a whole or in some rows, and where it
/// lies in the adapter's flat memory. What is stored are the values themselves, not what is added to the base's.
public struct TrainedEnd: Sendable, Equatable {
  public var end: ModelEnd
  /// Its rows, one a token; nil for all of the tensor.
  public var tokens: [Int32]?
  /// [tokens, C], or the tensor's own shape; named as PEFT does without its prefix.
  public var tensor: ParameterTensor
  /// The model's tensor: `model.embed_tokens.weight`.
  public var name: String
}

extension LoRAConfiguration {
  /// What is trained beside the pairs, in memory that begins at `offset`.
  ///
  /// Throws `usage` for tokens and modules that the model does not have or that are named twice.
  func ends(of model: ModelConfiguration, from offset: Int) throws -> [TrainedEnd] {
    var ends: [TrainedEnd] = []
    var offset = offset
    func add(_ end: ModelEnd, _ tokens: [Int32]?, _ name: String, _ shape: [Int], of tensor: TensorSpecification) {
      let place = ParameterTensor(name: name, shape: shape, offset: offset)
      ends.append(TrainedEnd(end: end, tokens: tokens, tensor: place, name: tensor.name))
      offset += place.count
    }
    let whole = try savedModules(of: model)
    for (end, tokens) in try tokens?.rows(of: model) ?? [] {
      try check(tokens, of: end, whole, model)
      let module = model.moduleName(of: end)
      for tensor in model.tensors(of: end) {
        add(end, tokens, module + ".token_adapter.trainable_tokens_delta", [tokens.count, tensor.shape[1]], of: tensor)
      }
    }
    for end in whole {
      for tensor in model.tensors(of: end) { add(end, nil, tensor.name, tensor.shape, of: tensor) }
    }
    return ends
  }

  private func savedModules(of model: ModelConfiguration) throws -> [ModelEnd] {
    var whole: [ModelEnd] = []
    for name in savedModules ?? [] {
      let end = try model.end(named: name)
      guard !whole.contains(end) else {
        throw SFTError(.usage, "the module \(model.moduleName(of: end)) is to be trained whole twice")
      }
      whole.append(end)
    }
    return whole
  }

  private func check(
    _ tokens: [Int32], of end: ModelEnd, _ whole: [ModelEnd], _ model: ModelConfiguration
  ) throws {
    let module = model.moduleName(of: end)
    if whole.contains(end) || model.tiedHead && whole.contains(.head) {
      throw SFTError(
        .usage,
        "rows of \(module) are to be trained, and "
          + (whole.contains(end) ? "all of it" : "\(model.moduleName(of: .head)), which has the same rows, as a whole"),
        advice: "Leave one of the two out")
    }
    var seen = Set<Int32>()
    for token in tokens {
      guard (0..<model.vocabularySize).contains(Int(token)) else {
        throw SFTError(
          .usage,
          "there is no row \(token) of \(module) to train: the model has rows 0 to \(model.vocabularySize - 1)")
      }
      guard seen.insert(token).inserted else {
        throw SFTError(.usage, "the row \(token) of \(module) is to be trained twice")
      }
    }
  }
}
