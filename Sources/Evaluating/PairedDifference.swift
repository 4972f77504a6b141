import Core
import Glibc

/// One question under two models: what each scored, and with what weight it enters the mean (its tokens, where the
/// measure is a token mean; else 1).
public struct PairedScores: Sendable, Equatable {
  public var base: Double
  public var tuned: Double
  public var baseWeight: Double
  public var tunedWeight: Double

  public init(base: Double, tuned: Double, baseWeight: Double = 1, tunedWeight: Double = 1) {
    self.base = base
    self.tuned = tuned
    self.baseWeight = baseWeight
    self.tunedWeight = tunedWeight
  }
}

/// How much two models differ over the same questions, and how sure that is.
public enum PairedDifference {
  public static let resamples = 5_000

  /// Weighted mean under tuned less that under base.
  public static func mean(_ pairs: some Collection<PairedScores>) -> Double {
    var sums = Sums()
    for pair in pairs { sums.add(pair) }
    return sums.difference
  }

  /// Percentile bootstrap (Efron 1979): the 2.5th and 97.5th percentile, interpolated linearly, of the difference over
  /// questions drawn with replacement. The same for the same seed; nil for fewer than two questions.
  public static func interval(
    _ pairs: [PairedScores], seed: UInt64, resamples: Int = PairedDifference.resamples
  ) -> (low: Double, high: Double)? {
    guard pairs.count > 1 else { return nil }
    var random = SeededGenerator(seed: seed, stream: 0x626f_6f74)
    var differences = (0..<resamples).map { _ in
      var sums = Sums()
      for _ in pairs { sums.add(pairs[random.below(pairs.count)]) }
      return sums.difference
    }
    differences.sort()
    return (percentile(differences, 0.025), percentile(differences, 0.975))
  }

  /// Two-sided exact sign test: how probable a split at least as uneven is if either side were as likely; ties are left
  /// out. 1 where nothing but ties is left.
  public static func signTest(wins: Int, losses: Int) -> Double {
    let count = wins + losses
    guard count > 0 else { return 1 }
    // Binomial terms by their logarithms, so that thousands neither overflow nor vanish.
    var logTerm = -Double(count) * log(2)
    var tail = exp(logTerm)
    for k in 0..<min(wins, losses) {
      logTerm += log(Double(count - k) / Double(k + 1))
      tail += exp(logTerm)
    }
    return min(1, 2 * tail)
  }

  private static func percentile(_ sorted: [Double], _ share: Double) -> Double {
    let place = share * Double(sorted.count - 1)
    let below = Int(place)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
  }

  private struct Sums {
    var base = 0.0
    var tuned = 0.0
    var baseWeight = 0.0
    var tunedWeight = 0.0

    mutating func add(_ pair: PairedScores) {
      base += pair.base * pair.baseWeight
      tuned += pair.tuned * pair.tunedWeight
      baseWeight += pair.baseWeight
      tunedWeight += pair.tunedWeight
    }

    var difference: Double { tuned / tunedWeight - base / baseWeight }
  }
}
