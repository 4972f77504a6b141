/// The packed forest: N tokens in one flat array, no padding, divided into segments that form trees.
///
/// A sequence is the path from a root to any row. Sequences that begin alike share that prefix as one segment, computed
/// once. A row attends to all rows of its segment's ancestors and to the rows of its own segment up to itself.
public struct Batch: Sendable, Equatable {
  /// A run of rows of one tree.
  public struct Segment: Sendable, Equatable {
    /// Its rows.
    public var rows: Range<Int>
    /// Position of its first row in the sequences that it belongs to.
    public var startPosition: Int
    /// Index of its parent, always smaller than its own; nil for a root.
    public var parent: Int?
    /// Its sequences are longer than the batch's `shortLength`.
    public var isLong: Bool

    public init(rows: Range<Int>, startPosition: Int, parent: Int?, isLong: Bool = false) {
      self.isLong = isLong
      self.rows = rows
      self.startPosition = startPosition
      self.parent = parent
    }
  }

  /// Loss at a row: the row predicts `token`. A row may have several targets, where sequences part after it.
  public struct Target: Sendable, Equatable {
    public var row: Int
    public var token: Int32
    /// How many sequences of the batch have it.
    public var weight: Float

    public init(row: Int, token: Int32, weight: Float) {
      self.row = row
      self.token = token
      self.weight = weight
    }
  }

  /// [N].
  public var tokens: [Int32]
  /// Parents before children; their rows cover 0..<N in order.
  public var segments: [Segment]
  /// Sorted by row, then by token.
  public var targets: [Target]
  /// Tokens of the records in it, each record's counted once whether shared or not (EOS included).
  public var recordTokens: Int
  /// Sequences of more tokens share no segment with others: the model computes them otherwise. nil where it does not.
  public var shortLength: Int?

  public init(
    tokens: [Int32], segments: [Segment], targets: [Target], recordTokens: Int, shortLength: Int? = nil
  ) {
    self.shortLength = shortLength
    self.tokens = tokens
    self.segments = segments
    self.targets = targets
    self.recordTokens = recordTokens
  }

  /// One sequence, every token of it a row, without targets.
  public init(sequence tokens: [Int32], shortLength: Int?) {
    let isLong = shortLength.map { tokens.count > $0 } ?? false
    let segment = Segment(rows: 0..<tokens.count, startPosition: 0, parent: nil, isLong: isLong)
    self.init(
      tokens: tokens, segments: [segment], targets: [], recordTokens: tokens.count, shortLength: shortLength)
  }

  /// Supervised tokens: the sum of the targets' weights.
  public var supervisedTokens: Int { targets.reduce(0) { $0 + Int($1.weight) } }

  /// The rows that have a target, in order.
  public var supervisedRows: [Int] {
    var rows: [Int] = []
    for target in targets where rows.last != target.row { rows.append(target.row) }
    return rows
  }

  /// [N]: each row's position in the sequences that it belongs to.
  public var positions: [Int] {
    segments.flatMap { segment in segment.rows.indices.map { segment.startPosition + $0 - segment.rows.lowerBound } }
  }

  /// [N]: whether a row belongs to a long sequence; nil where length has no part in it.
  public var areLong: [Bool]? {
    shortLength == nil ? nil : segments.flatMap { Array(repeating: $0.isLong, count: $0.rows.count) }
  }

  /// Whether a sequence of so many tokens, its last among them, is a long one.
  public func isLong(_ tokens: Int) -> Bool { shortLength.map { tokens > $0 } ?? false }

  /// Segment indices from a root to the end of a sequence with these inputs, whole segments all; empty where the forest has
  /// none that begins so. The inputs are all of a sequence's tokens but the last.
  public func path(of inputs: ArraySlice<Int32>) -> [Int] {
    var path: [Int] = []
    let isLong = isLong(inputs.count + 1)
    var rest = inputs
    while !rest.isEmpty {
      let next = segments.indices.first { index in
        segments[index].parent == path.last && segments[index].isLong == isLong
          && rest.starts(with: tokens[segments[index].rows])
      }
      guard let next else { break }
      path.append(next)
      rest = rest.dropFirst(segments[next].rows.count)
    }
    return path
  }

  /// Segment indices from the root to `segment`'s parent.
  public func ancestors(of segment: Int) -> [Int] {
    var path: [Int] = []
    var next = segments[segment].parent
    while let current = next {
      path.append(current)
      next = segments[current].parent
    }
    return path.reversed()
  }
}
