import Core
import Weights

/// Rows of a module that an adapter trains, one a token: an entry of PEFT's `trainable_token_indices`. The rows of a tied head
/// are the embedding's.
public struct TrainedTokens: Sendable, Equatable, Codable {
  /// As PEFT matches it; nil for the embedding.
  public var module: String?
  /// In the order of their rows.
  public var tokens: [Int32]

  public init(module: String? = nil, _ tokens: [Int32]) { (self.module, self.tokens) = (module, tokens) }

  /// The rows that stand for some tokens wherever a model has any.
  public static func all(_ tokens: [Int32], of model: ModelConfiguration) -> [TrainedTokens] {
    if model.tiedHead { return [TrainedTokens(tokens)] }
    return [ModelEnd.embedding, .head].map { TrainedTokens(module: model.moduleName(of: $0), tokens) }
  }
}

extension [TrainedTokens] {
  /// By part of the model; a tied head's rows count once, where they are named twice.
  ///
  /// Throws `usage` for a module that the model does not have or that has no rows.
  func rows(of model: ModelConfiguration) throws -> [(end: ModelEnd, tokens: [Int32])] {
    var rows: [(end: ModelEnd, tokens: [Int32])] = []
    for entry in self {
      let end = try entry.module.map { try model.end(named: $0) } ?? .embedding
      let module = model.moduleName(of: end)
      guard end != .finalNorm else { throw SFTError(.usage, "\(module) has no rows of tokens to train") }
      guard !entry.tokens.isEmpty else { throw SFTError(.usage, "no rows of \(module) are named to train") }
      guard !rows.contains(where: { $0.end == end }) else {
        throw SFTError(.usage, "rows of \(module) are named to train twice")
      }
      rows.append((end, entry.tokens))
    }
    guard model.tiedHead, let head = rows.first(where: { $0.end == .head }) else { return rows }
    let rest = rows.filter { $0.end != .head }
    guard rest.first?.tokens == head.tokens else {
      throw SFTError(
        .usage,
        "rows of \(model.moduleName(of: .head)) are to be trained, which are those of "
          + "\(model.moduleName(of: .embedding)) in this model, but not the same ones there")
    }
    return rest
  }
}
