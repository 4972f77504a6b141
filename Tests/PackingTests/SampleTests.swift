import Core
import Testing

@Suite struct SampleTests {
  @Test func labelsAreTheSupervisedTokens() {
    let sample = Sample(tokens: [5, 6, 7, 8, 9, 0], supervised: [1..<2, 4..<6])
    #expect(sample.labels == [-100, 6, -100, -100, 9, 0])
    #expect(sample.supervisedCount == 3 && sample.promptCount == 1)
    #expect((0..<7).map { sample.supervises($0) } == [false, true, false, false, true, true, false])
    #expect(Sample(tokens: [5, 6, 7, 8, 9, 0], promptCount: 3).labels == [-100, -100, -100, 8, 9, 0])
  }

  /// The first token of all has no predecessor that could predict it.
  @Test func theFirstTokenIsNeverPredicted() {
    let whole = Sample(tokens: [8, 9, 0], promptCount: 0)
    #expect(whole.supervisedCount == 2 && whole.predicted == [1..<3] && whole.labels == [8, 9, 0])
    #expect(Sample(tokens: [8, 9, 0], supervised: [0..<1, 2..<3]).predicted == [2..<3])
    #expect(Sample(tokens: [0], promptCount: 0).supervisedCount == 0)
    #expect(Sample(tokens: [4, 0], promptCount: 1).supervisedCount == 1)
    #expect(Sample(tokens: [1, 2], promptCount: 2).supervisedCount == 0)
    #expect(Sample(tokens: [], promptCount: 0).supervisedCount == 0)
  }

  /// One sample has one form: what is equal in what is trained is equal.
  @Test func rangesThatAdjoinAreOne() {
    let sample = Sample(tokens: [1, 2, 3, 4], supervised: [1..<1, 1..<2, 2..<2, 2..<4])
    #expect(sample.supervised == [1..<4] && sample == Sample(tokens: [1, 2, 3, 4], promptCount: 1))
    #expect(Sample(tokens: [1, 2], supervised: []) == Sample(tokens: [1, 2], promptCount: 2))
  }

  @Test func theStartOfThePromptCanBeLeftOut() {
    let sample = Sample(tokens: [1, 2, 3, 4, 5, 0], supervised: [3..<4, 5..<6])
    #expect(sample.droppingFirst(0) == sample)
    let shorter = sample.droppingFirst(2)
    #expect(shorter == Sample(tokens: [3, 4, 5, 0], supervised: [1..<2, 3..<4]))
    #expect(shorter.labels == [-100, 4, -100, 0])
  }
}
