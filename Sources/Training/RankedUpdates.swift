import Core
import Distributing
import Kernels

/// The parts of an update that the ranks of a group do together.
///
/// An adapter's moments are everywhere, so that rank 0 can save them at any time. Those of whole models are divided, and so is
/// the optimiser's work: each rank updates its stretch of the parameters and sends them to the others, which costs no more
/// than sending the gradients would.
final class RankedUpdates {
  private let group: RankGroup
  private let tree: ShareTree
  private let optimizer: OptimizerState
  private let compute: Compute
  private let exchange: GradientExchange
  private let dividesMoments: Bool
  /// The parameters, divided among the ranks.
  private let stretches: [Range<Int>]
  /// Whether rank 0's moments are those of all.
  private var areWhole = true

  init(
    _ group: RankGroup, _ tree: ShareTree, _ optimizer: OptimizerState, dividesMoments: Bool, _ compute: Compute
  ) {
    (self.group, self.tree, self.optimizer, self.compute) = (group, tree, optimizer, compute)
    self.dividesMoments = dividesMoments
    exchange = GradientExchange(group, tree)
    stretches = optimizer.stretches(group.count)
  }

  var ownShares: Range<Int> { shares(of: group.rank) }

  private func shares(of rank: Int) -> Range<Int> { tree.range(of: rank, ranks: group.count) }

  /// What this rank alone updates; nil where all ranks update everything.
  var ownStretch: Range<Int>? { dividesMoments ? stretches[group.rank] : nil }

  /// All of the parameters, for each rank.
  private var whole: [Range<Int>] { stretches.map { _ in 0..<optimizer.count } }

  // MARK: - Losses

  /// Sums of all shares, in order, from those of this rank's; and whether any rank is to stop.
  func exchange(
    _ totals: [CrossEntropy.Totals], _ isToStop: Bool
  ) throws -> (totals: [CrossEntropy.Totals], isToStop: Bool) {
    let own: [Double] = totals.flatMap { totals in [totals.loss, totals.correct, totals.weight] } + [isToStop ? 1 : 0]
    let sizes = (0..<group.count).map { (3 * shares(of: $0).count + 1) * MemoryLayout<Double>.size }
    let all = try doubles(sizes, own)
    let sums = all.flatMap { values -> [CrossEntropy.Totals] in
      stride(from: 0, to: values.count - 1, by: 3).map { first in
        var totals = CrossEntropy.Totals()
        (totals.loss, totals.correct, totals.weight) = (values[first], values[first + 1], values[first + 2])
        return totals
      }
    }
    return (sums, all.contains { $0[$0.count - 1] != 0 })
  }

  private func doubles(_ sizes: [Int], _ own: [Double]) throws -> [[Double]] {
    try group.exchange(sizes, own.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: MemoryLayout<Double>.size).map {
          bytes.loadUnaligned(fromByteOffset: $0, as: Double.self)
        }
      }
    }
  }

  // MARK: - Gradients

  /// Puts the sum of all shares into `gradients`: all of it, or where the moments are divided what this rank needs of it.
  func sum(_ parts: [(range: Range<Int>, values: MutableFloats)], into gradients: MutableFloats) throws {
    try exchange.sum(parts, over: stretches, into: gradients, compute)
    try exchange.gather(gradients, stretches, needed: dividesMoments ? tails : whole)
  }

  /// Pieces of the norm that begin in a rank's stretch are that rank's.
  private func pieces(of rank: Int) -> Range<Int> {
    func first(_ place: Int) -> Int { (place + Elementwise.squarePiece - 1) / Elementwise.squarePiece }
    let stretch = stretches[rank]
    return first(stretch.lowerBound)..<first(stretch.upperBound)
  }

  /// What the last of each rank's pieces has beyond its stretch.
  private var tails: [Range<Int>] {
    stretches.indices.map { rank in
      let (pieces, end) = (pieces(of: rank), stretches[rank].upperBound)
      return end..<(pieces.isEmpty ? end : max(end, min(pieces.upperBound * Elementwise.squarePiece, optimizer.count)))
    }
  }

  /// The norm of the sum, of which each rank may have a part.
  func norm(_ gradients: MutableFloats) throws -> Double {
    guard dividesMoments else {
      return Elementwise.sumOfSquares(Floats(gradients), count: optimizer.count, compute).squareRoot()
    }
    let own = Elementwise.sumsOfSquares(
      Floats(gradients), count: optimizer.count, pieces: pieces(of: group.rank), compute)
    let sizes = (0..<group.count).map { pieces(of: $0).count * MemoryLayout<Double>.size }
    return try doubles(sizes, own).joined().reduce(0, +).squareRoot()
  }

  // MARK: - Parameters and moments

  /// Every rank gets the parameters that others have updated.
  func gather(parameters: MutableFloats) throws {
    guard dividesMoments else { return }
    areWhole = false
    try exchange.gather(parameters, stretches, needed: whole)
  }

  /// Rank 0 gets the moments that others have updated. Every rank calls it.
  func gatherMoments() throws {
    guard !areWhole else { return }
    var requests: [RankRequest] = []
    if group.isLeader {
      for other in group.others {
        for memory in optimizer.memory(of: stretches[other]) { requests.append(try group.receive(memory, from: other)) }
      }
    } else {
      for memory in optimizer.memory(of: stretches[group.rank]) {
        requests.append(try group.send(UnsafeRawBufferPointer(memory), to: 0))
      }
    }
    try group.wait(for: requests)
    areWhole = true
  }

  /// Every rank gets rank 0's parameters, and its moments.
  func broadcast(_ parameters: MutableFloats) throws {
    try group.broadcast(
      UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: parameters, count: optimizer.count)))
    for memory in optimizer.memory { try group.broadcast(memory) }
  }
}
