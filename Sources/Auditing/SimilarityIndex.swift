/// Sets that are similar by Jaccard's measure, |x ∩ y| / |x ∪ y|, found without comparing all with all.
///
/// Prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): with the elements ordered from the rarest
/// to the most frequent, two sets of at least similarity t share one of the first |x| − ⌈t·|x|⌉ + 1; and where the first of
/// those stands in both says how many more they can share (Xiao, Wang, Lin, Yu 2008). Exact but for sets that more than
/// `candidateLimit` others come into question for; they are counted.
package struct SimilarityIndex {
  /// Sets that one set is compared with, at most: there may be any number of equal or overlapping ones.
  package static let candidateLimit = 2000
  /// Candidates that are looked at for one set, at most; most of them are ruled out by size or position, at little cost.
  private static let postingLimit = 50_000

  private let threshold: Double
  /// Of each set the elements that other sets have too, as their ranks by rarity, ascending.
  private let shared: [[UInt32]]
  /// Of each set, all elements counted.
  private let sizes: [Int]
  /// Where a set has an element.
  private struct Posting {
    var set: Int32
    /// In the set's order, from the rarest.
    var position: Int32
  }

  /// For each rank the added sets that have it among their first.
  private var postings: [[Posting]]
  private var lastQuery: [Int32]
  /// How many questions were answered from the first candidates only.
  package private(set) var cutShort = 0

  /// `sets` are sorted and without repetition. None is to be found before it is added.
  package init(_ sets: [[UInt64]], threshold: Double) {
    precondition(threshold > 0 && threshold <= 1)
    self.threshold = threshold
    sizes = sets.map(\.count)
    let ranks = Self.ranks(sets)
    shared = sets.map { set in set.compactMap { ranks[$0] }.sorted() }
    postings = Array(repeating: [], count: ranks.count)
    lastQuery = Array(repeating: -1, count: sets.count)
  }

  /// Of the elements that are in more than one set: 0 for the rarest.
  private static func ranks(_ sets: [[UInt64]]) -> [UInt64: UInt32] {
    var all: [UInt64] = []
    all.reserveCapacity(sets.reduce(0) { $0 + $1.count })
    for set in sets { all += set }
    all.sort()
    var frequent: [(count: Int, element: UInt64)] = []
    var start = 0
    while start < all.count {
      var end = start + 1
      while end < all.count, all[end] == all[start] { end += 1 }
      if end - start > 1 { frequent.append((end - start, all[start])) }
      start = end
    }
    frequent.sort { ($0.count, $0.element) < ($1.count, $1.element) }
    return Dictionary(uniqueKeysWithValues: frequent.enumerated().map { ($1.element, UInt32($0)) })
  }

  /// The first elements of a set that can be in another one as well, with their positions. What no other set has is the
  /// rarest of all.
  private func prefix(_ set: Int) -> Zip2Sequence<ArraySlice<UInt32>, PartialRangeFrom<Int32>> {
    let needed = Int((threshold * Double(sizes[set]) - 1e-9).rounded(.up))
    let ownOnly = sizes[set] - shared[set].count
    return zip(shared[set].prefix(max(0, sizes[set] - needed + 1 - ownOnly)), Int32(ownOnly)...)
  }

  package mutating func add(_ set: Int) {
    for (rank, position) in prefix(set) {
      postings[Int(rank)].append(Posting(set: Int32(set), position: position))
    }
  }

  /// The most similar of the added sets, of equally similar ones the one with the lowest number; nil where none is similar
  /// enough.
  package mutating func nearest(to set: Int) -> (set: Int, similarity: Double)? {
    var best: (set: Int, similarity: Double)?
    var (passed, compared) = (0, 0)
    for (rank, position) in prefix(set) {
      for posting in postings[Int(rank)] {
        let other = Int(posting.set)
        guard lastQuery[other] != set else { continue }
        guard passed < Self.postingLimit, compared < Self.candidateLimit else {
          cutShort += 1
          return best
        }
        passed += 1
        lastQuery[other] = Int32(set)
        // This is the first that they share.
        let most = 1 + min(sizes[set] - 1 - Int(position), sizes[other] - 1 - Int(posting.position))
        guard isEnough(most, of: set, other) else { continue }
        compared += 1
        guard let similarity = similarity(set, other) else { continue }
        if similarity > best?.similarity ?? 0 || (similarity == best?.similarity && other < best?.set ?? 0) {
          best = (other, similarity)
        }
      }
    }
    return best
  }

  private func isEnough(_ common: Int, of a: Int, _ b: Int) -> Bool {
    Double(common) >= threshold * Double(sizes[a] + sizes[b] - common) - 1e-9
  }

  /// nil where it is below the threshold.
  private func similarity(_ a: Int, _ b: Int) -> Double? {
    guard isEnough(min(shared[a].count, shared[b].count), of: a, b) else { return nil }
    let common = intersectionCount(shared[a], shared[b])
    return isEnough(common, of: a, b) ? Double(common) / Double(sizes[a] + sizes[b] - common) : nil
  }
}

/// Of two ascending lists.
private func intersectionCount(_ a: [UInt32], _ b: [UInt32]) -> Int {
  var (i, j, common) = (0, 0, 0)
  while i < a.count, j < b.count {
    if a[i] == b[j] {
      common += 1
      i += 1
      j += 1
    } else if a[i] < b[j] {
      i += 1
    } else {
      j += 1
    }
  }
  return common
}
