/// The order in which the gradients of an update's shares are summed: pairwise, halves first.
///
/// It is one of the shares' number alone. Whichever process has which shares, and whoever adds, a sum has the same bits.
package struct ShareTree: Sendable {
  package let shares: Int

  package init(shares: Int) {
    precondition(shares >= 1)
    self.shares = shares
  }

  /// Where the two halves of a range of shares meet, of which the first is the largest power of two below its length: so
  /// aligned runs of 2, 4, 8 … shares are sums of their own.
  static func middle(_ range: Range<Int>) -> Int {
    precondition(range.count > 1)
    var half = 1
    while 2 * half < range.count { half *= 2 }
    return range.lowerBound + half
  }

  /// The shares of rank `rank` of `ranks`: runs as equal as may be, some empty where there are more ranks.
  package func range(of rank: Int, ranks: Int) -> Range<Int> { rank * shares / ranks..<(rank + 1) * shares / ranks }

  /// The largest sums that are made of the shares in `range` alone, in order.
  package func nodes(in range: Range<Int>) -> [Range<Int>] { Self.nodes(in: range, of: 0..<shares) }

  private static func nodes(in range: Range<Int>, of node: Range<Int>) -> [Range<Int>] {
    if range.isEmpty || !range.overlaps(node) { return [] }
    if range.lowerBound <= node.lowerBound, node.upperBound <= range.upperBound { return [node] }
    let middle = middle(node)
    return nodes(in: range, of: node.lowerBound..<middle) + nodes(in: range, of: middle..<node.upperBound)
  }

  /// Whether two neighbouring sums, the second of which was made last, are the halves of one.
  package func areHalves(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    guard left.upperBound == right.lowerBound else { return false }
    var node = 0..<shares
    while node != left.lowerBound..<right.upperBound {
      guard node.count > 1 else { return false }
      let middle = Self.middle(node)
      if right.upperBound <= middle {
        node = node.lowerBound..<middle
      } else if left.lowerBound >= middle {
        node = middle..<node.upperBound
      } else {
        return false
      }
    }
    return node.count > 1 && Self.middle(node) == left.upperBound
  }

  /// Sums of all shares from the `parts` that are there, by `add`, which adds the second to the first: which part holds the
  /// result.
  package func sum<Part>(_ parts: [(range: Range<Int>, part: Part)], add: (Part, Part) -> Void) -> Part? {
    var stack: [(range: Range<Int>, part: Part)] = []
    for part in parts {
      stack.append(part)
      while stack.count > 1, areHalves(stack[stack.count - 2].range, stack[stack.count - 1].range) {
        let right = stack.removeLast()
        let left = stack.removeLast()
        add(left.part, right.part)
        stack.append((left.range.lowerBound..<right.range.upperBound, left.part))
      }
    }
    return stack.count == 1 ? stack[0].part : nil
  }
}
