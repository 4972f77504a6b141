import Core
import Masking
import Testing

@Suite struct MaskingTests {
  private func segment(_ text: String, trained: Bool, literal: Bool = false) -> Segment {
    Segment(text: text, trained: trained, literal: literal)
  }

  @Test func splitsAtTheFirstTrainedSegment() {
    let (a, b) = (segment("A", trained: false, literal: true), segment("B", trained: false))
    let (c, d) = (segment("C", trained: true), segment("D", trained: true, literal: true))
    let whole = Masking.split([a, b, c, d])
    #expect(whole.prompt == [a, b] && whole.completion == [c, d])
    let promptOnly = Masking.split([a, b])
    #expect(promptOnly.prompt == [a, b] && promptOnly.completion.isEmpty)
    let completionOnly = Masking.split([c])
    #expect(completionOnly.prompt.isEmpty && completionOnly.completion == [c])
    let nothing = Masking.split([])
    #expect(nothing.prompt.isEmpty && nothing.completion.isEmpty)
  }

  @Test func labelsAreTheCompletionAndEOS() {
    let sample = Masking.sample(prompt: [5, 6, 7], completion: [8, 9], endOfText: 0)
    #expect(sample.tokens == [5, 6, 7, 8, 9, 0])
    #expect(sample.labels == [-100, -100, -100, 8, 9, 0])
    #expect(sample.supervisedCount == 3)
  }

  /// The first token of all has no predecessor that could predict it.
  @Test func supervisedCounts() {
    #expect(Masking.sample(prompt: [], completion: [8, 9], endOfText: 0).supervisedCount == 2)
    #expect(Masking.sample(prompt: [], completion: [], endOfText: 0).supervisedCount == 0)
    #expect(Masking.sample(prompt: [4], completion: [], endOfText: 0).supervisedCount == 1)
    #expect(Sample(tokens: [1, 2], promptCount: 2).supervisedCount == 0)
    #expect(Sample(tokens: [], promptCount: 0).supervisedCount == 0)
  }

  /// Of 10 tokens 6 are the prompt, 4 the answer and its EOS.
  @Test(arguments: [
    (10, OverlongPolicy.error, FittingOutcome.kept), (10, .drop, .kept), (10, .truncate, .kept), (11, .error, .kept),
    (9, .error, .refused), (9, .drop, .dropped(.tooLong)), (9, .truncate, .truncated(removed: 1)),
    (5, .error, .refused), (5, .drop, .dropped(.tooLong)), (5, .truncate, .truncated(removed: 5)),
    (4, .error, .dropped(.answerTooLong)), (4, .drop, .dropped(.answerTooLong)),
    (4, .truncate, .dropped(.answerTooLong)), (1, .truncate, .dropped(.answerTooLong)),
  ])
  func fits(_ maxLength: Int, _ overlong: OverlongPolicy, _ expected: FittingOutcome) {
    #expect(Masking.fit(tokens: 10, prompt: 6, maxLength: maxLength, overlong: overlong) == expected)
  }

  @Test func withoutAPromptNothingCanBeTaken() {
    #expect(Masking.fit(tokens: 4, prompt: 0, maxLength: 4, overlong: .truncate) == .kept)
    #expect(Masking.fit(tokens: 5, prompt: 0, maxLength: 4, overlong: .truncate) == .dropped(.answerTooLong))
  }

  @Test func truncationTakesFromTheLeftOfThePrompt() {
    let sample = Sample(tokens: [1, 2, 3, 4, 5, 0], promptCount: 3)
    #expect(Masking.truncate(sample, removing: 0) == sample)
    let shorter = Masking.truncate(sample, removing: 2)
    #expect(shorter == Sample(tokens: [3, 4, 5, 0], promptCount: 1))
    #expect(shorter.labels == [-100, 4, 5, 0])
  }

  /// Whatever is truncated to a length has that length, the whole answer, and a token before it.
  @Test func truncatedRecordsFit() {
    for prompt in 0..<8 {
      for answer in 1..<8 {
        let sample = Sample(tokens: (0..<Int32(prompt + answer)).map { $0 }, promptCount: prompt)
        for maxLength in 1..<18 {
          switch Masking.fit(tokens: prompt + answer, prompt: prompt, maxLength: maxLength, overlong: .truncate) {
          case .kept: #expect(sample.tokens.count <= maxLength)
          case .truncated(let removed):
            let fitted = Masking.truncate(sample, removing: removed)
            #expect(fitted.tokens.count == maxLength && fitted.promptCount >= 1)
            #expect(fitted.tokens.suffix(answer) == sample.tokens.suffix(answer))
            #expect(fitted.supervisedCount == answer)
          case .dropped(let reason):
            #expect(reason == .answerTooLong && answer + min(1, prompt) > maxLength)
          case .refused: Issue.record("truncation never refuses")
          }
        }
      }
    }
  }
}
