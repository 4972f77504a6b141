import Glibc

/// A token's logarithm of its probability after those before it, before any sampling setting.
public struct TokenProbability: Sendable, Equatable {
  public var token: Int32
  public var logProbability: Double
}

/// A token of an answer, and the likeliest ones in its place.
public struct ChosenToken: Sendable, Equatable {
  public var chosen: TokenProbability
  /// The likeliest first, of equals the first of the vocabulary.
  public var likeliest: [TokenProbability]

  /// From logits [V], of which `count` are shown.
  init(_ token: Int32, _ logits: UnsafeBufferPointer<Float>, likeliest count: Int) {
    let normaliser = logSumExp(logits)
    func probability(_ token: Int) -> TokenProbability {
      TokenProbability(token: Int32(token), logProbability: Double(logits[token]) - normaliser)
    }
    chosen = probability(Int(token))
    var top: [Int] = []
    if count > 0 {
      for index in logits.indices {
        if top.count == count, let last = top.last, logits[index] <= logits[last] { continue }
        let place = top.firstIndex { logits[$0] < logits[index] } ?? top.count
        top.insert(index, at: place)
        if top.count > count { top.removeLast() }
      }
    }
    likeliest = top.map(probability)
  }
}
