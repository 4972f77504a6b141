import Core
import Distributing
import Kernels

/// Sums the gradients of an update's shares over all ranks: every rank adds up a stretch of the parameters, of what all the
/// others send it, in the shares' fixed order.
///
/// The stretches may not overlap: what a rank adds up, it does in the memory of its own parts.
final class GradientExchange {
  /// Values that are sent at a time: what one rank adds while the next are on their way.
  private static let piece = 1 << 20
  /// Pieces on their way from each rank.
  private static let ahead = 3

  private let group: RankGroup
  private let tree: ShareTree
  /// Where pieces arrive, by place in the sum of parts and number modulo `ahead`.
  private var arrivals: [FloatBuffer] = []

  init(_ group: RankGroup, _ tree: ShareTree) { (self.group, self.tree) = (group, tree) }

  private func nodes(of rank: Int) -> [Range<Int>] { tree.nodes(in: tree.range(of: rank, ranks: group.count)) }

  /// Puts the total of this rank's stretch, `ranges[rank]`, of all parts into `total`, which may be the memory of one of its own
  /// `parts`. Those of others are worth nothing afterwards.
  func sum(
    _ parts: [(range: Range<Int>, values: MutableFloats)], over ranges: [Range<Int>], into total: MutableFloats,
    _ compute: Compute
  ) throws {
    precondition(parts.map(\.range) == nodes(of: group.rank))
    var sends: [RankRequest] = []
    for other in group.others {
      for piece in pieces(of: ranges[other]) {
        for part in parts { sends.append(try group.send(UnsafeRawBufferPointer(bytes(part.values, piece)), to: other)) }
      }
    }
    let sources = (0..<group.count).flatMap { rank in nodes(of: rank).map { (rank: rank, node: $0) } }
    let pieces = pieces(of: ranges[group.rank])
    var pending: [[RankRequest]] = []
    func places(_ number: Int) -> [MutableFloats] {
      var own = parts.makeIterator()
      return sources.indices.map { place in
        sources[place].rank == group.rank
          ? (own.next()?.values ?? total) + pieces[number].lowerBound
          : arrival(place * Self.ahead + number % Self.ahead, pieces[number].count)
      }
    }
    func receive(_ number: Int) throws {
      pending.append(
        try zip(sources, places(number)).compactMap { source, place in
          source.rank == group.rank
            ? nil : try group.receive(bytes(place, 0..<pieces[number].count), from: source.rank)
        })
    }
    for number in 0..<min(Self.ahead, pieces.count) { try receive(number) }
    for (number, piece) in pieces.enumerated() {
      try group.wait(for: pending[number])
      let sum = tree.sum(zip(sources, places(number)).map { ($0.node, $1) }) { left, right in
        Elementwise.add(Floats(right), to: Floats(left), into: left, count: piece.count, compute)
      }
      guard let sum else { preconditionFailure("the ranks' shares are not all") }
      if sum != total + piece.lowerBound { (total + piece.lowerBound).update(from: sum, count: piece.count) }
      if number + Self.ahead < pieces.count { try receive(number + Self.ahead) }
    }
    try group.wait(for: sends)
  }

  /// Each rank gets, of what the others have in their stretches of `values`, what lies in its range of `needed`.
  func gather(_ values: MutableFloats, _ stretches: [Range<Int>], needed: [Range<Int>]) throws {
    var requests: [RankRequest] = []
    for other in group.others {
      let coming = stretches[other].clamped(to: needed[group.rank])
      if !coming.isEmpty { requests.append(try group.receive(bytes(values, coming), from: other)) }
      let going = stretches[group.rank].clamped(to: needed[other])
      if !going.isEmpty {
        requests.append(try group.send(UnsafeRawBufferPointer(bytes(values, going)), to: other))
      }
    }
    try group.wait(for: requests)
  }

  private func arrival(_ number: Int, _ count: Int) -> MutableFloats {
    while arrivals.count <= number { arrivals.append(FloatBuffer()) }
    return arrivals[number].ensure(count)
  }

  private func pieces(of range: Range<Int>) -> [Range<Int>] {
    stride(from: range.lowerBound, to: range.upperBound, by: Self.piece).map {
      $0..<min($0 + Self.piece, range.upperBound)
    }
  }

  private func bytes(_ values: MutableFloats, _ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: values + range.lowerBound, count: range.count))
  }
}
