import Testing
import Training

/// What is said of settings that are hardly meant, and of losses that rose.
@Suite struct RemarkTests {
  private static func settings(steps: Int = 100, warmup: Int, threads: Int = 2) -> TrainingSettings {
    var settings = Bench.settings(nil, steps: steps)
    settings.schedule = Schedule(kind: .linear, learningRate: 2e-4, warmupSteps: warmup)
    settings.threads = threads
    return settings
  }

  @Test func ordinarySettingsAreNotRemarkedOn() {
    #expect(Self.settings(warmup: 99).remarks(cores: 2) == [])
  }

  @Test func aWarmUpThatNeverEndsIs() {
    #expect(
      Self.settings(steps: 3, warmup: 10).remarks(cores: 2) == [
        "The warm-up of 10 updates is longer than the run of 3 updates: the learning rate reaches 4e-5, not the 2e-4 of "
          + "--lr."
      ])
    #expect(
      Self.settings(steps: 1, warmup: 1).remarks(cores: 2) == [
        "The warm-up of 1 update takes up the run of 1 update: the learning rate reaches 0, not the 2e-4 of --lr."
      ])
  }

  @Test func moreThreadsThanCoresAre() {
    #expect(
      Self.settings(warmup: 0, threads: 1000).remarks(cores: 1) == [
        "1,000 threads are more than the 1 core that this process may use: more than one on a core only wait for each "
          + "other."
      ])
  }

  private static func remarks(_ losses: [Double], validations: [Double] = []) -> [String] {
    LossTrend(updates: losses, validations: validations.enumerated().map { (10 * ($0 + 1), $1) }).remarks
  }

  @Test func aLossThatEndsAboveItsBeginningIsSaid() {
    #expect(
      Self.remarks([1.77, 9, 10.55]) == [
        "The training loss rose from 1.7700 in the first update to 10.5500 in the last: try a lower --lr, or a warm-up "
          + "with --warmup-steps."
      ])
    // Means of the first and the last tenth.
    #expect(
      Self.remarks([1, 3] + [Double](repeating: 0, count: 16) + [4, 2]) == [
        "The training loss rose from 2.0000 in the first 2 updates to 3.0000 in the last 2: try a lower --lr, or a "
          + "warm-up with --warmup-steps."
      ])
  }

  @Test func aLossThatFellOrOnlyScattersIsNot() {
    #expect(Self.remarks([]) == [] && Self.remarks([3]) == [] && Self.remarks([3, 2]) == [])
    #expect(Self.remarks([2, 2.4]) == [])
    #expect(Self.remarks([Double](repeating: 2, count: 200) + [Double](repeating: 2.1, count: 200)) == [])
    #expect(Self.remarks([Double](repeating: 2, count: 200) + [Double](repeating: 2.2, count: 200)).count == 1)
  }

  @Test func aValidationLossThatRoseIsSaidHoweverLittle() {
    #expect(
      Self.remarks([3, 1], validations: [1.5, 1.2, 1.5001]) == [
        "The validation loss rose from 1.5000 at step 10 to 1.5001 at step 30: try a lower --lr, or fewer updates; best/ "
          + "has the weights of the lowest."
      ])
    #expect(Self.remarks([3, 1], validations: [1.5]) == [])
  }

  /// Where it has fallen and then risen, from its lowest.
  @Test func aValidationLossThatHasRisenFromItsLowestIsSaid() {
    #expect(
      Self.remarks([3, 1], validations: [1.5, 1.2, 1.3]) == [
        "The validation loss was lowest at step 20, 1.2000, and has risen to 1.3000 at step 30: fewer updates would do, or "
          + "--early-stopping; best/ has the weights of the lowest."
      ])
    #expect(Self.remarks([3, 1], validations: [1.5, 1.2, 1.21]) == [])
    #expect(Self.remarks([3, 1], validations: [1.5, 1.3, 1.2]) == [])
  }
}
