import Core
import Distributing
import Kernels

/// Sums the gradients of an update's shares over all ranks: every rank adds up its slices of the parameters, of what all the
/// others send it, in the shares' fixed order.
///
/// Gradients become final from the last block down. What is final is sent, and added up as it arrives, while the blocks below
/// are still computed. Slices go from the last to the first, in which all ranks agree.
final class GradientExchange {
  /// Slices that are on their way to this rank at a time, from each other.
  private static let ahead = 3

  private let group: RankGroup
  private let tree: ShareTree
  private let division: ParameterDivision
  /// The parts of all ranks: whose, and of which shares.
  private let sources: [(rank: Int, node: Range<Int>)]
  /// Where slices arrive, by place among the sources and number modulo `ahead`.
  private var arrivals: [FloatBuffer] = []

  // Of an update.
  private var parts: [(range: Range<Int>, values: MutableFloats)] = []
  private var total: MutableFloats?
  /// Slices of others that were not sent yet, the last of them first.
  private var unsent: ArraySlice<Int> = []
  private var sends: [RankRequest] = []
  /// Own slices that others were not asked for yet, the last of them first; and those that were, with what has not arrived.
  private var unasked: ArraySlice<Int> = []
  private var asked: ArraySlice<(number: Int, place: Int, requests: [RankRequest])> = []
  private var askedCount = 0

  init(_ group: RankGroup, _ tree: ShareTree, _ division: ParameterDivision) {
    (self.group, self.tree, self.division) = (group, tree, division)
    sources = (0..<group.count).flatMap { rank in
      tree.nodes(in: tree.range(of: rank, ranks: group.count)).map { (rank, $0) }
    }
  }

  /// Begins with the sum of `parts`, those of this rank, of which nothing is final yet. What this rank adds up of its slices goes
  /// into `total`, which may be the memory of one of the parts; what these have of its slices is worth nothing afterwards.
  func begin(_ parts: [(range: Range<Int>, values: MutableFloats)], into total: MutableFloats) throws {
    precondition(parts.map(\.range) == sources.filter { $0.rank == group.rank }.map(\.node))
    (self.parts, self.total) = (parts, total)
    let numbers = division.slices.indices.reversed().filter { !division.slices[$0].isEmpty }
    unsent = ArraySlice(numbers.filter { division.rank(of: $0) != group.rank })
    unasked = ArraySlice(division.numbers(of: group.rank).reversed())
    askedCount = 0
    for _ in 0..<Self.ahead { try ask() }
    group.keepsMoving(true)
  }

  /// The parts are final from the parameter `place` on: sends what others need of it, and adds up what has arrived.
  func advance(to place: Int, _ compute: Compute) throws {
    while let number = unsent.first, division.slices[number].lowerBound >= place {
      unsent.removeFirst()
      for part in parts {
        let bytes = UnsafeRawBufferPointer(bytes(part.values, division.slices[number]))
        sends.append(try group.send(bytes, to: division.rank(of: number), .gradients))
      }
    }
    while let first = asked.first, division.slices[first.number].lowerBound >= place {
      let missing = try group.unfinished(first.requests)
      guard missing.isEmpty else {
        asked[asked.startIndex].requests = missing
        return
      }
      try addUp(compute)
    }
  }

  /// The parts are final: ends when this rank's slices are added up, and the others have what they need.
  func finish(_ compute: Compute) throws {
    defer { group.keepsMoving(false) }
    try advance(to: 0, compute)
    while let first = asked.first {
      try group.wait(for: first.requests)
      try addUp(compute)
    }
    try group.wait(for: sends)
    sends = []
  }

  /// Begins to receive the next own slice of the others.
  private func ask() throws {
    guard let number = unasked.popFirst() else { return }
    let place = askedCount % Self.ahead
    askedCount += 1
    let slice = division.slices[number]
    let requests = try sources.indices.filter { sources[$0].rank != group.rank }.map { source in
      let arrival = arrival(source * Self.ahead + place, slice.count)
      return try group.receive(bytes(arrival, 0..<slice.count), from: sources[source].rank, .gradients)
    }
    asked.append((number, place, requests))
  }

  /// Adds up the first slice that was asked for, which is there, and asks for one more.
  private func addUp(_ compute: Compute) throws {
    guard let (number, place, _) = asked.popFirst(), let total else { return }
    let slice = division.slices[number]
    var own = parts.makeIterator()
    let places = sources.indices.map { source in
      sources[source].rank == group.rank
        ? (own.next()?.values ?? total) + slice.lowerBound : arrival(source * Self.ahead + place, slice.count)
    }
    let sum = tree.sum(zip(sources, places).map { ($0.node, $1) }) { left, right in
      Elementwise.add(Floats(right), to: Floats(left), into: left, count: slice.count, compute)
    }
    guard let sum else { preconditionFailure("the ranks' shares are not all") }
    if sum != total + slice.lowerBound { (total + slice.lowerBound).update(from: sum, count: slice.count) }
    try ask()
  }

  /// Each rank gets, of what the others have in their slices of `values`, what lies in its ranges of `needed`.
  func gather(_ values: MutableFloats, needed: [[Range<Int>]]) throws {
    func coming(to rank: Int, from other: Int) -> [Range<Int>] {
      needed[rank].flatMap { wanted in
        division.slices(of: other).map { $0.clamped(to: wanted) }.filter { !$0.isEmpty }
      }
    }
    var requests: [RankRequest] = []
    for other in group.others {
      for range in coming(to: group.rank, from: other) {
        requests.append(try group.receive(bytes(values, range), from: other))
      }
      for range in coming(to: other, from: group.rank) {
        requests.append(try group.send(UnsafeRawBufferPointer(bytes(values, range)), to: other))
      }
    }
    try group.wait(for: requests)
  }

  private func arrival(_ number: Int, _ count: Int) -> MutableFloats {
    while arrivals.count <= number { arrivals.append(FloatBuffer()) }
    return arrivals[number].ensure(count)
  }

  private func bytes(_ values: MutableFloats, _ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: values + range.lowerBound, count: range.count))
  }
}
