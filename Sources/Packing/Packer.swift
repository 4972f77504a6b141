import Core

/// Samples → the packed forest.
public enum Packer {
  /// One segment a sequence where `sharesPrefixes` is false; otherwise a radix tree over the sequences, so that any
  /// common prefix, the template's or another, stands once.
  ///
  /// The last token of a sequence is only ever a target: it has no row. Sequences of fewer than two tokens add nothing
  /// but their count. Sequences of more tokens than `shortLength` share nothing with others, which their model computes
  /// otherwise. O(tokens · log samples).
  public static func pack(_ samples: [Sample], sharesPrefixes: Bool, shortLength: Int? = nil) -> Batch {
    var builder = ForestBuilder(samples: samples, shortLength: shortLength)
    let usable = samples.indices.filter { samples[$0].tokens.count >= 2 }
    if sharesPrefixes {
      let order = sorted(usable, of: samples)
      for isLong in [false, true] {
        builder.addTree(order.filter { builder.isLong($0) == isLong }[...], depth: 0, parent: nil)
      }
    } else {
      for index in usable { builder.addSegment(of: [index], from: 0, to: samples[index].tokens.count - 1, parent: nil) }
    }
    return builder.finish()
  }
}

/// Lays segments out depth first, so that parents come before children.
private struct ForestBuilder {
  let samples: [Sample]
  private var tokens: [Int32] = []
  private var segments: [Batch.Segment] = []
  private var targets: [Batch.Target] = []

  private let shortLength: Int?

  init(samples: [Sample], shortLength: Int?) { (self.samples, self.shortLength) = (samples, shortLength) }

  func isLong(_ sample: Int) -> Bool { shortLength.map { samples[sample].tokens.count > $0 } ?? false }

  private func inputCount(_ sample: Int) -> Int { samples[sample].tokens.count - 1 }

  /// Sorted sequences that agree on their first `depth` tokens, all longer than or as long as that.
  mutating func addTree(_ group: ArraySlice<Int>, depth: Int, parent: Int?) {
    var rest = group
    // Sequences that end here sort first and need no rows of their own.
    while let first = rest.first, inputCount(first) == depth { rest = rest.dropFirst() }
    while let first = rest.first {
      let head = samples[first].tokens[depth]
      let end = rest.firstIndex { samples[$0].tokens[depth] != head } ?? rest.endIndex
      let branch = rest[rest.startIndex..<end]
      // Sorted, so what the first and the last share, all share.
      let common = commonPrefix(branch[branch.startIndex], branch[branch.endIndex - 1], from: depth)
      let segment = addSegment(of: Array(branch), from: depth, to: common, parent: parent)
      addTree(branch, depth: common, parent: segment)
      rest = rest[end...]
    }
  }

  private func commonPrefix(_ a: Int, _ b: Int, from depth: Int) -> Int {
    let limit = min(inputCount(a), inputCount(b))
    var length = depth
    while length < limit, samples[a].tokens[length] == samples[b].tokens[length] { length += 1 }
    return length
  }

  /// Rows for positions `start ..< end`, the same in all `members`, with the targets of each.
  @discardableResult
  mutating func addSegment(of members: [Int], from start: Int, to end: Int, parent: Int?) -> Int {
    let firstRow = tokens.count
    tokens.append(contentsOf: samples[members[0]].tokens[start..<end])
    segments.append(
      Batch.Segment(
        rows: firstRow..<tokens.count, startPosition: start, parent: parent, isLong: isLong(members[0])))
    for position in start..<end {
      var weights: [Int32: Float] = [:]
      for member in members where samples[member].supervises(position + 1) {
        weights[samples[member].tokens[position + 1], default: 0] += 1
      }
      for (token, weight) in weights.sorted(by: { $0.key < $1.key }) {
        targets.append(Batch.Target(row: firstRow + position - start, token: token, weight: weight))
      }
    }
    return segments.count - 1
  }

  func finish() -> Batch {
    Batch(
      tokens: tokens, segments: segments, targets: targets,
      recordTokens: samples.reduce(0) { $0 + $1.tokens.count }, shortLength: shortLength)
  }
}
