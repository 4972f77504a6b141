import Distributing
import Kernels

extension RankGroup {
  /// Every rank's sums, of which rank r has `counts[r]`.
  package func exchange(_ counts: [Int], _ own: [CrossEntropy.Totals]) throws -> [[CrossEntropy.Totals]] {
    let values: [Double] = own.flatMap { [$0.loss, $0.correct, $0.weight] }
    return try exchange(counts.map { 3 * $0 }, values).map { values in
      stride(from: 0, to: values.count, by: 3).map { first in
        var totals = CrossEntropy.Totals()
        (totals.loss, totals.correct, totals.weight) = (values[first], values[first + 1], values[first + 2])
        return totals
      }
    }
  }
}
