import Core
import Weights

/// A part of a model before or after its blocks, which an adapter may train itself: PEFT's `modules_to_save` and
/// `trainable_token_indices` name them as modules.
public enum ModelEnd: String, Sendable, Codable, CaseIterable {
  case embedding, head, finalNorm
}

extension ModelConfiguration {
  /// The tensors of a part; a tied head's is named and shaped as its own would be.
  func tensors(of end: ModelEnd) -> [TensorSpecification] {
    switch end {
    case .embedding: [embedding]
    case .head: [TensorSpecification(.head, headName, embedding.shape)]
    case .finalNorm:
      expectedTensors.filter { if case .finalNorm = $0.role { true } else { false } }
    }
  }

  /// What PEFT calls a part: `model.embed_tokens`, `lm_head`, `model.norm`.
  public func moduleName(of end: ModelEnd) -> String { tensors(of: end).first.map { Self.module($0.name) } ?? "" }

  /// The part that a module name means. PEFT takes every module whose name ends so, at a dot or not.
  ///
  /// Throws `usage` where there is none, or where that would be other modules too.
  public func end(named name: String) throws -> ModelEnd {
    let ends = ModelEnd.allCases
    let modules = Set(expectedTensors.map { Self.module($0.name) } + ends.map(moduleName))
    let named = name.isEmpty ? [] : modules.filter { $0.hasSuffix(name) }.sorted()
    let advice = "The modules that can be trained whole are " + ends.map(moduleName).joined(separator: ", ")
    guard let first = named.first else {
      throw SFTError(.usage, "no module of the model is named \(quotedList([name]))", advice: advice)
    }
    guard named.count == 1, let end = ends.first(where: { moduleName(of: $0) == first }) else {
      let other = named.first { module in !ends.contains { moduleName(of: $0) == module } } ?? first
      throw SFTError(
        .usage, "\(quotedList([name])) names \(other), which is not trained whole here", advice: advice)
    }
    return end
  }

  private static func module(_ tensor: String) -> String {
    tensor.split(separator: ".").dropLast().joined(separator: ".")
  }
}
