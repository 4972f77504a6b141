import Core
import Weights

/// Low-rank adaptation (Hu et al. 2021): y += scale · dropout(x) · Aᵀ · Bᵀ beside a frozen linear; and
/// what of embedding, head and final norm is trained itself.
public struct LoRAConfiguration: Sendable, Equatable, Codable {
  /// Inner width r.
  public var rank: Int
  public var alpha: Double
  /// Probability of dropping an element of x before A.
  public var dropout: Double
  /// scale = alpha/√r (rsLoRA, Kalajdzievski 2023) instead of alpha/r.
  public var rankStabilized: Bool
  /// Module names or the ends of them at a dot, as in PEFT: `c_attn`, `attn.c_proj`, a whole name; or `all-linear` alone.
  public var targets: [String]
  /// Layers to adapt; nil for all.
  public var layers: [Int]?
  /// Token rows that are trained beside it; nil for none.
  public var tokens: [TrainedTokens]?
  /// Modules that are trained whole beside it, by names as PEFT matches them; nil for none.
  public var savedModules: [String]?

  public static let allLinear = "all-linear"

  public init(
    rank: Int = 16, alpha: Double = 16, dropout: Double = 0, rankStabilized: Bool = false,
    targets: [String] = [LoRAConfiguration.allLinear], layers: [Int]? = nil, tokens: [TrainedTokens]? = nil,
    savedModules: [String]? = nil
  ) {
    self.rank = rank
    self.alpha = alpha
    self.dropout = dropout
    self.rankStabilized = rankStabilized
    self.targets = targets
    self.layers = layers
    self.tokens = tokens
    self.savedModules = savedModules
  }

  public var scale: Float {
    Float(rankStabilized ? alpha / Double(rank).squareRoot() : alpha / Double(rank))
  }

  /// What is trained beside the linears' pairs, to go on a list: ", rows of 2 tokens, all of lm_head"; often empty.
  public var moreWords: String {
    let rows = Set((tokens ?? []).flatMap(\.tokens)).count
    return (rows > 0 ? ", rows of \(counted(rows, "token"))" : "")
      + (savedModules ?? []).map { ", all of \($0)" }.joined()
  }

  /// The linears that this adapts, as indices. Throws `usage` for a target or layer that the model does not have, and
  /// for numbers out of range.
  public func select(from linears: [LinearDescription]) throws -> [Int] {
    try checkNumbers()
    let layerCount = (linears.map(\.layer).max() ?? -1) + 1
    if let wrong = layers?.first(where: { !(0..<layerCount).contains($0) }) {
      throw SFTError(.usage, "there is no layer \(wrong) to adapt: the model has layers 0 to \(layerCount - 1)")
    }
    let wanted = layers.map(Set.init)
    for target in targets where target != Self.allLinear && !linears.contains(where: { $0.isNamed(target) }) {
      let modules = Set(linears.map(\.module)).sorted()
      throw SFTError(
        .usage, "no linear of the model is named '\(target)'",
        advice: "Its linears are \(modules.joined(separator: ", ")), or \(Self.allLinear) for every one")
    }
    let selected = linears.indices.filter { index in
      let linear = linears[index]
      return wanted?.contains(linear.layer) ?? true
        && targets.contains { $0 == Self.allLinear || linear.isNamed($0) }
    }
    guard !selected.isEmpty else { throw SFTError(.usage, "the adapter's targets and layers select no linear") }
    return selected
  }

  private func checkNumbers() throws {
    guard (1...65_536).contains(rank) else { throw SFTError(.usage, "the LoRA rank is \(rank), expected 1 to 65536") }
    guard alpha.isFinite, alpha > 0 else { throw SFTError(.usage, "the LoRA alpha must be positive") }
    guard dropout >= 0, dropout < 1 else { throw SFTError(.usage, "the LoRA dropout must be at least 0 and below 1") }
    guard !targets.isEmpty else { throw SFTError(.usage, "no LoRA targets are given") }
  }
}
