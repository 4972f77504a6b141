import Testing
import Training

/// Multipliers of transformers' get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup, worked out by hand
/// from their formulas: step/warmup, then (total − step)/(total − warmup) or ½(1 + cos(π·progress)).
@Suite struct ScheduleTests {
  private func rates(_ schedule: Schedule, _ steps: [Int], of total: Int) -> [Double] {
    steps.map { schedule.rate(at: $0, of: total) }
  }

  private func agree(_ actual: [Double], _ expected: [Double]) -> Bool {
    actual.count == expected.count && zip(actual, expected).allSatisfy { abs($0 - $1) < 1e-12 }
  }

  @Test func linear() {
    let schedule = Schedule(kind: .linear, learningRate: 2, warmupSteps: 4)
    let expected = [0, 0.5, 1, 1.5, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25, 0, 0]
    #expect(agree(rates(schedule, Array(0..<14), of: 12), expected))
  }

  @Test func cosine() {
    let schedule = Schedule(kind: .cosine, learningRate: 1, warmupSteps: 4)
    // cos(π/4) = √½ at a quarter of the way, 0 at half of it; √¾ at a sixth, ½ at a third.
    let quarter = (1 + 0.5.squareRoot()) / 2
    #expect(agree(rates(schedule, [0, 3, 4, 6, 8, 10, 12], of: 12), [0, 0.75, 1, quarter, 0.5, 1 - quarter, 0]))
    let sixth = (1 + 0.75.squareRoot()) / 2
    #expect(agree(rates(schedule, [4, 5, 6, 8, 10], of: 10), [1, sixth, 0.75, 0.25, 0]))
  }

  @Test func constant() {
    let schedule = Schedule(kind: .constant, learningRate: 3, minimum: 1, warmupSteps: 2)
    #expect(rates(schedule, [0, 1, 2, 7, 100], of: 8) == [0, 1.5, 3, 3, 3])
    #expect(Schedule(kind: .constant, learningRate: 3).rate(at: 0, of: 1) == 3)
  }

  @Test func minimumIsWhereTheyEnd() {
    let linear = Schedule(kind: .linear, learningRate: 1, minimum: 0.2)
    #expect(agree(rates(linear, [0, 5, 10, 11], of: 10), [1, 0.6, 0.2, 0.2]))
    let cosine = Schedule(kind: .cosine, learningRate: 1, minimum: 0.2)
    #expect(agree(rates(cosine, [0, 5, 10, 11], of: 10), [1, 0.6, 0.2, 0.2]))
  }

  @Test(arguments: Schedule.Kind.allCases) func warmupAsLongAsTheRun(_ kind: Schedule.Kind) {
    let schedule = Schedule(kind: kind, learningRate: 1, warmupSteps: 4)
    #expect(agree(rates(schedule, [0, 1, 2, 3], of: 4), [0, 0.25, 0.5, 0.75]))
    #expect(Schedule(kind: kind, learningRate: 1).rate(at: 0, of: 1) == 1)
  }
}

@Suite struct DataOrderTests {
  private func order(_ count: Int, seed: UInt64?, steps: Range<Int>, batch: Int) -> [[Int]] {
    var order = DataOrder(count: count, seed: seed)
    return steps.map { order.records(step: $0, batch: batch) }
  }

  @Test func withoutShufflingItIsThePreparedOrder() {
    #expect(order(5, seed: nil, steps: 0..<4, batch: 3) == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]])
  }

  /// Whatever the batch size, each epoch has each record once, and epochs differ.
  @Test(arguments: [1, 3, 7, 12, 40], [1, 7, 12]) func epochsArePermutations(_ batch: Int, _ count: Int) {
    let steps = (3 * count + batch - 1) / batch
    let stream = order(count, seed: 42, steps: 0..<steps, batch: batch).flatMap { $0 }
    let epochs = (0..<3).map { Array(stream[$0 * count..<($0 + 1) * count]) }
    for epoch in epochs { #expect(epoch.sorted() == Array(0..<count)) }
    if count == 12 { #expect(Set(epochs).count == 3) }
  }

  /// An update's records are a function of seed and update: not of what was asked before, nor of the batch size.
  @Test func itIsAFunctionOfSeedAndStep() {
    let all = order(10, seed: 7, steps: 0..<9, batch: 4)
    #expect(order(10, seed: 7, steps: 5..<9, batch: 4) == Array(all[5...]))
    var backwards = DataOrder(count: 10, seed: 7)
    for step in (0..<9).reversed() { #expect(backwards.records(step: step, batch: 4) == all[step]) }
    #expect(order(10, seed: 7, steps: 0..<18, batch: 2).flatMap { $0 } == all.flatMap { $0 })
    #expect(order(10, seed: 8, steps: 0..<9, batch: 4) != all)
  }

  /// Lengths 5, 1, 4, 3, 2 in the prepared order, 6 tokens an update: each goes on after the last record of the one before,
  /// into the next epoch.
  @Test func updatesOfTokensTakeRecordsUntilTheyReachThem() {
    var order = DataOrder(count: 5, seed: nil, lengths: [5, 1, 4, 3, 2])
    #expect((0..<4).map { order.records(step: $0, tokens: 6) } == [[0, 1], [2, 3], [4, 0], [1, 2, 3]])
    #expect(order.records(step: 0, tokens: 1) == [0])
    #expect(order.records(step: 0, tokens: 16) == [0, 1, 2, 3, 4, 0])
    #expect(order.updates(taking: 5, tokens: 6) == 3)
    #expect(order.updates(taking: 4, tokens: 6) == 2)
    #expect(order.updates(taking: 10, tokens: 6) == 5)
    #expect(order.updates(taking: 10, tokens: 1) == 10)
  }

  /// Asked for in any order, and after any other question.
  @Test func updatesOfTokensAreAFunctionOfSeedAndStep() {
    let lengths = (0..<17).map { 3 + $0 * 7 % 11 }
    var order = DataOrder(count: 17, seed: 9, lengths: lengths)
    let all = (0..<20).map { order.records(step: $0, tokens: 30) }
    var other = DataOrder(count: 17, seed: 9, lengths: lengths)
    for step in [7, 19, 3, 3, 0, 12] {
      _ = other.updates(taking: step, tokens: 25)
      #expect(other.records(step: step, tokens: 30) == all[step])
    }
    let stream = all.flatMap { $0 }
    for epoch in 0..<3 { #expect(stream[epoch * 17..<(epoch + 1) * 17].sorted() == Array(0..<17)) }
    for records in all {
      let tokens = records.map { lengths[$0] }
      #expect(tokens.reduce(0, +) >= 30 && tokens.dropLast().reduce(0, +) < 30)
    }
  }
}
