/// A tokenised sequence and the ranges of it on which loss is taken; everything else follows from the two.
public struct Sample: Sendable, Equatable {
  /// Label of a position on which no loss is taken (PyTorch's `ignore_index`).
  public static let ignoredLabel: Int32 = -100

  /// End tokens included.
  public let tokens: [Int32]
  /// Positions in `tokens` that are trained: in order, none empty, none adjoining the next.
  public let supervised: [Range<Int>]

  /// `supervised` in order and apart from each other; ranges that adjoin are joined, empty ones left out.
  public init(tokens: [Int32], supervised: [Range<Int>]) {
    self.tokens = tokens
    var joined: [Range<Int>] = []
    var end = 0
    for range in supervised where !range.isEmpty {
      precondition(range.lowerBound >= end && range.upperBound <= tokens.count)
      if let last = joined.last, last.upperBound == range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<range.upperBound
      } else {
        joined.append(range)
      }
      end = range.upperBound
    }
    self.supervised = joined
  }

  /// A prompt of `promptCount` tokens, and its completion, which is all that is trained.
  public init(tokens: [Int32], promptCount: Int) {
    precondition(promptCount >= 0 && promptCount <= tokens.count)
    self.init(tokens: tokens, supervised: [promptCount..<tokens.count])
  }

  /// Tokens before the first that is trained; all where none is.
  public var promptCount: Int { supervised.first?.lowerBound ?? tokens.count }

  /// As many as `tokens`: the token itself where it is trained, `ignoredLabel` elsewhere. Not shifted: the loss at
  /// position t-1 is against `labels[t]`.
  public var labels: [Int32] {
    var labels = [Int32](repeating: Self.ignoredLabel, count: tokens.count)
    for range in supervised { labels.replaceSubrange(range, with: tokens[range]) }
    return labels
  }

  /// Ranges of the positions on which loss is taken: the first token of all has no predecessor to predict it.
  public var predicted: [Range<Int>] {
    guard let first = supervised.first, first.lowerBound == 0 else { return supervised }
    return (first.count == 1 ? [] : [1..<first.upperBound]) + supervised.dropFirst()
  }

  /// How many positions loss is taken on.
  public var supervisedCount: Int { predicted.reduce(0) { $0 + $1.count } }

  /// Whether loss is taken on the token at `position`, given one before it. O(log ranges).
  public func supervises(_ position: Int) -> Bool {
    var (low, high) = (0, supervised.count)
    while low < high {
      let middle = (low + high) / 2
      if supervised[middle].upperBound <= position { low = middle + 1 } else { high = middle }
    }
    return low < supervised.count && supervised[low].lowerBound <= position
  }

  /// The sample without its first `removed` tokens, none of which is trained.
  public func droppingFirst(_ removed: Int) -> Sample {
    precondition(removed <= promptCount)
    if removed == 0 { return self }
    return Sample(
      tokens: Array(tokens[removed...]),
      supervised: supervised.map { $0.lowerBound - removed..<$0.upperBound - removed })
  }
}
