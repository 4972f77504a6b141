import Core
import Distributing
import Kernels

/// The parts of an update that the ranks of a group do together.
///
/// An adapter's moments are everywhere, so that rank 0 can save them at any time. Those of whole models are divided, and so is
/// the optimiser's work: each rank updates its slices of the parameters and sends them to the others, which costs no more
/// than sending the gradients would.
final class RankedUpdates {
  private let group: RankGroup
  private let tree: ShareTree
  private let optimizer: OptimizerState
  private let compute: Compute
  private let exchange: GradientExchange
  private let division: ParameterDivision
  private let dividesMoments: Bool
  /// What this rank alone updates, by the optimiser's numbers; nil where all ranks update everything.
  let ownChunks: [Int]?
  /// Pieces of the norm of each rank, those that begin in its slices; and for each slice.
  private let normPieces: [[Range<Int>]]
  /// What of the summed gradient each rank needs: all of it, or what the last pieces of its slices have beyond these.
  private let neededGradients: [[Range<Int>]]
  /// All of the parameters, for each rank.
  private let whole: [[Range<Int>]]
  /// Whether rank 0's moments are those of all.
  private var areWhole = true

  init(
    _ group: RankGroup, _ tree: ShareTree, _ optimizer: OptimizerState, dividesMoments: Bool, _ compute: Compute
  ) {
    (self.group, self.tree, self.optimizer, self.compute) = (group, tree, optimizer, compute)
    self.dividesMoments = dividesMoments
    let division = ParameterDivision(count: optimizer.count, ranks: group.count, cuts: optimizer.cuts)
    self.division = division
    exchange = GradientExchange(group, tree, division)
    ownChunks = dividesMoments ? optimizer.chunks(in: division.slices(of: group.rank)) : nil
    let ranks = 0..<group.count
    normPieces = ranks.map { division.slices(of: $0).map(Self.pieces) }
    whole = ranks.map { _ in [0..<optimizer.count] }
    neededGradients =
      dividesMoments
      ? ranks.map { rank in
        division.slices(of: rank).compactMap { slice in
          let end = min(Self.pieces(of: slice).upperBound * Elementwise.squarePiece, optimizer.count)
          return Self.pieces(of: slice).isEmpty || end <= slice.upperBound ? nil : slice.upperBound..<end
        }
      } : whole
  }

  /// Pieces of the norm that begin in a slice.
  private static func pieces(of slice: Range<Int>) -> Range<Int> {
    func first(_ place: Int) -> Int { (place + Elementwise.squarePiece - 1) / Elementwise.squarePiece }
    return first(slice.lowerBound)..<first(slice.upperBound)
  }

  var ownShares: Range<Int> { shares(of: group.rank) }

  private func shares(of rank: Int) -> Range<Int> { tree.range(of: rank, ranks: group.count) }

  // MARK: - Losses

  /// Sums of all shares, in order, from those of this rank's; and whether any rank is to stop.
  func exchange(
    _ totals: [CrossEntropy.Totals], _ isToStop: Bool
  ) throws -> (totals: [CrossEntropy.Totals], isToStop: Bool) {
    // The wish to stop goes along as one more sum.
    var wish = CrossEntropy.Totals()
    wish.weight = isToStop ? 1 : 0
    let all = try group.exchange((0..<group.count).map { shares(of: $0).count + 1 }, totals + [wish])
    return (all.flatMap { $0.dropLast() }, all.contains { $0.last?.weight != 0 })
  }

  // MARK: - Gradients

  /// Begins with the sum of all shares, which goes into `gradients`; `advance` says what is final of `parts`, the sums of
  /// this rank's.
  func begin(_ parts: [(range: Range<Int>, values: MutableFloats)], into gradients: MutableFloats) throws {
    try exchange.begin(parts, into: gradients)
  }

  /// This rank's sums are final from the parameter `place` on.
  func advance(to place: Int) throws { try exchange.advance(to: place, compute) }

  /// Waits for the sum of all shares in `gradients`: all of it, or where the moments are divided what this rank needs of it.
  func finish(_ gradients: MutableFloats) throws {
    try exchange.finish(compute)
    try exchange.gather(gradients, needed: neededGradients)
  }

  /// The norm of the sum, of which each rank may have a part.
  func norm(_ gradients: MutableFloats) throws -> Double {
    guard dividesMoments else {
      return Elementwise.sumOfSquares(Floats(gradients), count: optimizer.count, compute).squareRoot()
    }
    let own = normPieces[group.rank].flatMap {
      Elementwise.sumsOfSquares(Floats(gradients), count: optimizer.count, pieces: $0, compute)
    }
    let counts = normPieces.map { $0.reduce(0) { $0 + $1.count } }
    let all = try group.exchange(counts, own)
    // In the order of the pieces, as one process adds them.
    var ordered = [Double](repeating: 0, count: Elementwise.squarePieces(optimizer.count))
    for (ranges, squares) in zip(normPieces, all) {
      for (piece, square) in zip(ranges.joined(), squares) { ordered[piece] = square }
    }
    return ordered.reduce(0, +).squareRoot()
  }

  // MARK: - Parameters and moments

  /// Every rank gets the parameters that others have updated.
  func gather(parameters: MutableFloats) throws {
    guard dividesMoments else { return }
    areWhole = false
    try exchange.gather(parameters, needed: whole)
  }

  /// Rank 0 gets the moments that others have updated. Every rank calls it.
  func gatherMoments() throws {
    guard !areWhole else { return }
    var requests: [RankRequest] = []
    if group.isLeader {
      for other in group.others {
        for memory in division.slices(of: other).flatMap(optimizer.memory) {
          requests.append(try group.receive(memory, from: other))
        }
      }
    } else {
      for memory in division.slices(of: group.rank).flatMap(optimizer.memory) {
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
