import Core

extension Packer {
  /// What a micro-batch costs, in units of a row's way through the blocks.
  public struct Cost: Sendable {
    /// What a supervised token costs on top of its row: the head.
    public var supervisedToken: Double

    public init(supervisedToken: Double) { self.supervisedToken = supervisedToken }

    /// Rows that a sample adds after `shared` leading tokens that are there already, and its supervised tokens; scaled to
    /// integers, so that sums are exact.
    fileprivate func of(_ sample: Sample, after shared: Int) -> Int {
      let rows = max(0, sample.tokens.count - 1 - shared)
      return rows << 8 + Int(Double(sample.supervisedCount) * supervisedToken * 256)
    }
  }

  /// Divides `samples` among at most `count` micro-batches so that the dearest of them costs as little as may be: numbers
  /// of samples, each in one group. There are fewer of them where each then still costs no more than `joinedRows` rows do:
  /// products with few rows are slow, and prefixes are shared within a micro-batch alone.
  ///
  /// Where prefixes are shared, samples that begin alike are kept together: groups are runs of the sorted samples, and a
  /// sample costs what it adds to its group. Otherwise they are runs of the samples as they come. A function of the
  /// arguments alone. O(tokens · log samples).
  public static func microBatches(
    _ samples: [Sample], count: Int, sharesPrefixes: Bool, cost: Cost, joinedRows: Int = 0
  ) -> [[Int]] {
    precondition(count >= 1)
    if count == 1 || samples.count <= 1 { return samples.isEmpty ? [] : [Array(samples.indices)] }
    let order = sharesPrefixes ? sorted(Array(samples.indices), of: samples) : Array(samples.indices)
    let alone = order.map { cost.of(samples[$0], after: 0) }
    let added = order.indices.map { place in
      guard sharesPrefixes, place > 0 else { return alone[place] }
      let (sample, before) = (samples[order[place]], samples[order[place - 1]])
      return cost.of(sample, after: commonInputs(sample, before))
    }
    /// First members of the groups when none may cost more than `limit`, filled one after the other. Taking a member from
    /// a group's front never makes the rest dearer, so no other way needs fewer groups.
    func starts(within limit: Int) -> [Int] {
      var (starts, sum) = ([0], alone[0])
      for place in order.indices.dropFirst() {
        sum += added[place]
        if sum > limit {
          starts.append(place)
          sum = alone[place]
        }
      }
      return starts
    }
    let dearest = alone.max() ?? 0
    let fewest = min(count, starts(within: max(dearest, joinedRows << 8)).count)
    var (low, high) = (dearest, alone.reduce(0, +))
    while low < high {
      let middle = (low + high) / 2
      if starts(within: middle).count <= fewest { high = middle } else { low = middle + 1 }
    }
    let ends = starts(within: low) + [order.count]
    // In the records' order, which says nothing of prefixes.
    return zip(ends, ends.dropFirst()).map { order[$0..<$1].sorted() }
  }

  /// Divides `samples` into `count` shares so that the dearest costs as little as may be: numbers of samples, ascending; a share
  /// is empty where there are too few. It begins with the better of two ways: runs of the sorted samples, as `microBatches`
  /// has them, and the dearest sample to the share that costs least, one after the other. A function of the arguments alone.
  public static func shares(_ samples: [Sample], count: Int, sharesPrefixes: Bool, cost: Cost) -> [[Int]] {
    precondition(count >= 1)
    if count == 1 { return [Array(samples.indices)] }
    let runs = microBatches(samples, count: count, sharesPrefixes: sharesPrefixes, cost: cost)
    let order = sharesPrefixes ? sorted(Array(samples.indices), of: samples) : Array(samples.indices)
    // What neighbours have in common; what two others have is the least of what lies between.
    let common = order.indices.map { place in
      sharesPrefixes && place > 0 ? commonInputs(samples[order[place]], samples[order[place - 1]]) : 0
    }
    let ofAll = common.dropFirst().min() ?? 0
    var (dealt, loads) = ([[Int]](repeating: [], count: count), [Int](repeating: 0, count: count))
    let added = samples.indices.map { cost.of(samples[$0], after: ofAll) }
    for sample in samples.indices.sorted(by: { (-added[$0], $0) < (-added[$1], $1) }) {
      let share = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
      dealt[share].append(sample)
      loads[share] += added[sample]
    }
    func price(_ share: [Int]) -> Int {
      let members = Set(share)
      var (sum, shared, isFirst) = (0, 0, true)
      for (place, sample) in order.enumerated() {
        shared = min(shared, common[place])
        guard members.contains(sample) else { continue }
        sum += cost.of(samples[sample], after: isFirst ? 0 : shared)
        (shared, isFirst) = (.max, false)
      }
      return sum
    }
    func dearest(_ shares: [[Int]]) -> Int { shares.map(price).max() ?? 0 }
    var shares = dearest(dealt) < dearest(runs) ? dealt : runs
    shares += [[Int]](repeating: [], count: count - shares.count)
    balance(&shares, price)
    return shares.map { $0.sorted() }
  }

  /// Moves a sample from the dearest share to the cheapest, or exchanges two of theirs, as long as that makes the dearer of the two
  /// cheaper; of the ways that do, the one that does the most.
  private static func balance(_ shares: inout [[Int]], _ price: ([Int]) -> Int) {
    // Shares of many samples are as good as equal.
    let mostPairs = 256
    var prices = shares.map(price)
    while let dear = prices.indices.max(by: { prices[$0] < prices[$1] }),
      let cheap = prices.indices.min(by: { prices[$0] < prices[$1] }), prices[cheap] < prices[dear],
      shares[dear].count * (shares[cheap].count + 1) <= mostPairs
    {
      var best = (price: prices[dear], dear: shares[dear], cheap: shares[cheap])
      for given in shares[dear].indices {
        for taken in [nil] + shares[cheap].indices.map(Optional.some) {
          var (left, right) = (shares[dear], shares[cheap])
          right.append(left.remove(at: given))
          if let taken { left.append(right.remove(at: taken)) }
          let dearer = max(price(left), price(right))
          if dearer < best.price { best = (dearer, left, right) }
        }
      }
      guard best.price < prices[dear] else { return }
      (shares[dear], shares[cheap]) = (best.dear, best.cheap)
      (prices[dear], prices[cheap]) = (price(best.dear), price(best.cheap))
    }
  }

  /// Sample numbers by their inputs, so that those with a common prefix are neighbours.
  static func sorted(_ indices: [Int], of samples: [Sample]) -> [Int] {
    indices.sorted { left, right in
      let (a, b) = (samples[left].tokens.dropLast(), samples[right].tokens.dropLast())
      return a.lexicographicallyPrecedes(b) || (a == b && left < right)
    }
  }

  /// Leading inputs that two samples have in common.
  private static func commonInputs(_ a: Sample, _ b: Sample) -> Int {
    zip(a.tokens.dropLast(), b.tokens.dropLast()).prefix { $0 == $1 }.count
  }
}
