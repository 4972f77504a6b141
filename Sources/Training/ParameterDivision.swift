import Kernels

/// The trained parameters in slices, which are dealt out to the ranks of a group in turn.
///
/// So each rank has a part of every layer: what is exchanged while gradients become final, from the last layer down, keeps the
/// networks of all ranks at work, and not one at a time.
package struct ParameterDivision: Sendable {
  /// What a slice has at most, or nearly so: what one rank adds up while the next is on its way.
  private static let mostValues = 1 << 20
  /// What it has at least, where there are more than a few.
  private static let leastValues = 1 << 16
  /// Slices of each rank, where they would be longer than `leastValues`.
  private static let rounds = 8

  /// How many parameters there are.
  package let count: Int
  package let ranks: Int
  /// Of all ranks, in order; some empty where there are few parameters.
  package let slices: [Range<Int>]

  /// Cuts `count` parameters at some of `cuts`, which ascend from 0.
  package init(count: Int, ranks: Int, cuts: [Int]) {
    (self.count, self.ranks) = (count, ranks)
    let target = min(Self.mostValues, max(Self.leastValues, count / (Self.rounds * ranks)))
    let number = ranks * max(1, (count + ranks * target - 1) / (ranks * target))
    // Where pieces of the gradient's norm are cut there is nothing of them to be sent; short slices would be too unequal.
    let unit = count / number >= 8 * Elementwise.squarePiece ? Elementwise.squarePiece : 1
    var next = cuts.makeIterator()
    var cut = next.next()
    var bounds = [0]
    for place in 1..<number {
      let ideal = (place * count / number + unit - 1) / unit * unit
      while let there = cut, there < ideal { cut = next.next() }
      bounds.append(cut ?? count)
    }
    bounds.append(count)
    slices = zip(bounds, bounds.dropFirst()).map { $0..<$1 }
  }

  /// The rank whose slice `number` is.
  package func rank(of number: Int) -> Int { number % ranks }

  /// Numbers of a rank's slices that are not empty, in order.
  package func numbers(of rank: Int) -> [Int] {
    stride(from: rank, to: slices.count, by: ranks).filter { !slices[$0].isEmpty }
  }

  /// A rank's slices that are not empty, in order.
  package func slices(of rank: Int) -> [Range<Int>] { numbers(of: rank).map { slices[$0] } }
}
