import Distributing
import Evaluating
import Training

extension EvaluationShare {
  /// The ranks of a group take the batches in turn.
  init(_ group: RankGroup) {
    self.init(
      isOwn: { $0 % group.count == group.rank },
      gather: { own, count in
        let counts = (0..<group.count).map { count / group.count + ($0 < count % group.count ? 1 : 0) }
        let all = try group.exchange(counts, own)
        return (0..<count).map { all[$0 % group.count][$0 / group.count] }
      })
  }
}
