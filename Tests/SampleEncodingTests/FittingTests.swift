import Core
import SampleEncoding
import Testing

@Suite struct FittingTests {
  /// Of 10 tokens 6 are the prompt, 4 the answer and its EOS.
  @Test(arguments: [
    (10, OverlongPolicy.error, FittingOutcome.kept), (10, .drop, .kept), (10, .truncate, .kept), (11, .error, .kept),
    (9, .error, .refused), (9, .drop, .dropped(.tooLong)), (9, .truncate, .truncated(removed: 1)),
    (5, .error, .refused), (5, .drop, .dropped(.tooLong)), (5, .truncate, .truncated(removed: 5)),
    (4, .error, .dropped(.answerTooLong)), (4, .drop, .dropped(.answerTooLong)),
    (4, .truncate, .dropped(.answerTooLong)), (1, .truncate, .dropped(.answerTooLong)),
  ])
  func fits(_ maxLength: Int, _ overlong: OverlongPolicy, _ expected: FittingOutcome) {
    #expect(FittingOutcome(tokens: 10, prompt: 6, maxLength: maxLength, overlong: overlong) == expected)
  }

  @Test func withoutAPromptNothingCanBeTaken() {
    #expect(FittingOutcome(tokens: 4, prompt: 0, maxLength: 4, overlong: .truncate) == .kept)
    #expect(FittingOutcome(tokens: 5, prompt: 0, maxLength: 4, overlong: .truncate) == .dropped(.answerTooLong))
  }

  /// Whatever is truncated to a length has that length, the whole answer, and a token before it.
  @Test func truncatedRecordsFit() {
    for prompt in 0..<8 {
      for answer in 1..<8 {
        let sample = Sample(tokens: (0..<Int32(prompt + answer)).map { $0 }, promptCount: prompt)
        for maxLength in 1..<18 {
          switch FittingOutcome(tokens: prompt + answer, prompt: prompt, maxLength: maxLength, overlong: .truncate) {
          case .kept: #expect(sample.tokens.count <= maxLength)
          case .truncated(let removed):
            let fitted = sample.droppingFirst(removed)
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
