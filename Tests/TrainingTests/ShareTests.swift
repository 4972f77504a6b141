import Core
import Kernels
import TestSupport
import Testing
import Training

/// The order in which shares are summed, and that it is one however they are divided.
@Suite struct ShareTests {
  @Test func `Halves are powers of two first`() {
    let tree = ShareTree(shares: 6)
    #expect(tree.nodes(in: 0..<6) == [0..<6])
    #expect(tree.nodes(in: 0..<4) == [0..<4])
    #expect(tree.nodes(in: 4..<6) == [4..<6])
    #expect(tree.nodes(in: 1..<5) == [1..<2, 2..<4, 4..<5])
    #expect(tree.areHalves(0..<2, 2..<4) && tree.areHalves(0..<4, 4..<6))
    #expect(!tree.areHalves(1..<2, 2..<3) && !tree.areHalves(2..<4, 4..<6) && !tree.areHalves(0..<1, 2..<3))
  }

  @Test func `Every division among ranks covers the shares once, and makes one sum`() {
    for shares in 1...33 {
      let tree = ShareTree(shares: shares)
      for ranks in [1, 2, 3, 4, 5, 7, 8, 16, 40] {
        let ranges = (0..<ranks).map { tree.range(of: $0, ranks: ranks) }
        #expect(ranges.flatMap { Array($0) } == Array(0..<shares))
        let counts = ranges.map(\.count)
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
        // A sum in words, so that its order is seen.
        final class Words { var text: String; init(_ text: String) { self.text = text } }
        func words(_ node: Range<Int>) -> String {
          let leaves = node.map { (range: $0..<$0 + 1, part: Words("\($0)")) }
          let own = tree.sum(leaves) { $0.text = "(\($0.text)+\($1.text))" }
          return own?.text ?? "nothing"
        }
        func whole(_ range: Range<Int>) -> Words {
          // The node's own sum, as a rank makes it.
          var parts = range.map { (range: $0..<$0 + 1, text: "\($0)") }
          while parts.count > 1 {
            let at = parts.indices.dropLast().first { tree.areHalves(parts[$0].range, parts[$0 + 1].range) }
            guard let at else { return Words("no halves") }
            parts[at] = (
              parts[at].range.lowerBound..<parts[at + 1].range.upperBound, "(\(parts[at].text)+\(parts[at + 1].text))"
            )
            parts.remove(at: at + 1)
          }
          return Words(parts[0].text)
        }
        let nodes = ranges.flatMap { tree.nodes(in: $0) }
        let sum = tree.sum(nodes.map { ($0, whole($0)) }) { $0.text = "(\($0.text)+\($1.text))" }
        #expect(sum?.text == words(0..<shares), "\(shares) shares, \(ranks) ranks")
      }
    }
  }

  @Test func `Sums that are not all there are none`() {
    let tree = ShareTree(shares: 4)
    #expect(tree.sum([(0..<2, 1), (2..<3, 2)]) { _, _ in } == nil)
    #expect(tree.sum([(range: Range<Int>, part: Int)]()) { _, _ in } == nil)
  }

  /// Sums kept in the pass's memory and in copies are those of the plain order.
  @Test(arguments: [1, 2, 3, 4, 5, 8, 11]) func `Gradients are summed in the tree's order`(_ shares: Int) {
    let (count, compute) = (100, Compute())
    let tree = ShareTree(shares: shares)
    let gradients = (0..<shares).map { noise(count, seed: UInt64($0)) }
    func plain(_ node: Range<Int>) -> [Float] {
      if node.count == 1 { return gradients[node.lowerBound] }
      var half = 1
      while 2 * half < node.count { half *= 2 }
      let middle = node.lowerBound + half
      return zip(plain(node.lowerBound..<middle), plain(middle..<node.upperBound)).map { $0 + $1 }
    }
    for ranks in 1...min(3, shares) {
      for rank in 0..<ranks {
        let own = tree.range(of: rank, ranks: ranks)
        let sums = ShareSums(tree, count: count)
        let memory = FloatBuffer(count)
        // Twice, as memory is used again.
        for _ in 0..<2 {
          sums.clear()
          for share in own {
            for index in 0..<count { memory.pointer[index] = gradients[share][index] }
            if share == own.last {
              sums.addLast(share, memory.pointer)
              for range in [60..<100, 13..<60, 13..<13, 0..<13] { sums.complete(range, compute) }
            } else {
              sums.add(share, memory.pointer, compute)
            }
          }
          #expect(sums.parts.map(\.range) == tree.nodes(in: own))
          for part in sums.parts {
            #expect((0..<count).map { part.values[$0] } == plain(part.range))
          }
        }
      }
    }
  }

  /// A run of several shares is the run of one but for rounding, by both engines.
  @Test func `Shares change an update's rounding alone`() throws {
    try withTemporaryFolder { folder in
      var bench = try Bench()
      bench.settings.steps = 4
      func metrics(_ name: String) throws -> [TrainMetric] {
        let log = Bench.Log()
        try bench.run(RunFolder(folder + "/" + name), log)
        return log.train
      }
      let one = try metrics("one")
      bench.settings.shares = 3
      let three = try metrics("three")
      bench.settings.engine = .plain
      let plain = try metrics("plain")
      #expect(one.count == 4 && three.count == 4 && plain.count == 4)
      for (metric, others) in zip(one, zip(three, plain)) {
        for other in [others.0, others.1] {
          #expect(metric.tokens == other.tokens && metric.supervised_tokens == other.supervised_tokens)
          #expect(abs(metric.loss - other.loss) < 1e-4 * metric.loss)
          #expect(abs(metric.grad_norm - other.grad_norm) < 1e-3 * metric.grad_norm)
        }
      }
    }
  }
}
