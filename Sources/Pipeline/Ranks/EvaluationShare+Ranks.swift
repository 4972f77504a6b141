import Distributing
import Evaluating
import Kernels

extension EvaluationShare {
  /// The ranks of a group take the batches in turn.
  init(_ group: RankGroup) {
    self.init(
      isOwn: { $0 % group.count == group.rank },
      gather: { own, count in
        let counts = (0..<group.count).map { count / group.count + ($0 < count % group.count ? 1 : 0) }
        let bytes = own.flatMap { totals in
          [totals.loss, totals.correct, totals.weight].flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
        }
        let size = MemoryLayout<Double>.size
        let all = try group.exchange(counts.map { 3 * size * $0 }, bytes)
        return (0..<count).map { number in
          all[number % group.count].withUnsafeBytes { bytes in
            let first = number / group.count * 3 * size
            func value(_ place: Int) -> Double {
              bytes.loadUnaligned(fromByteOffset: first + place * size, as: Double.self)
            }
            var totals = CrossEntropy.Totals()
            (totals.loss, totals.correct, totals.weight) = (value(0), value(1), value(2))
            return totals
          }
        }
      })
  }
}
