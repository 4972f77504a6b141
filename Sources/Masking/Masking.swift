import Core

/// What to do with a record that is longer than the maximum length.
public enum OverlongPolicy: String, Sendable, Codable, CaseIterable {
  case error
  case drop
  case truncate
}

/// What becomes of one record.
public enum FittingOutcome: Sendable, Equatable {
  case kept
  /// Kept, with this many tokens taken from the prompt's left.
  case truncated(removed: Int)
  case dropped(DropReason)
  /// Too long, and the policy is to say so.
  case refused
}

public enum DropReason: String, Sendable, Codable {
  /// The whole record is longer than the maximum length.
  case tooLong
  /// The answer and its EOS alone do not fit, so no truncation of the prompt would help.
  case answerTooLong
}

/// Segments and ids → labels, by construction: whatever came from the prompt is masked, whatever came from the completion
/// is not, and the completion ends in EOS.
public enum Masking {
  /// Parts what the template gave into the two texts that are tokenised, each in one call: no token spans the boundary,
  /// and a text's ids do not depend on how it was put together.
  public static func split(_ segments: [Segment]) -> (prompt: [Segment], completion: [Segment]) {
    let boundary = segments.firstIndex(where: \.trained) ?? segments.endIndex
    return (Array(segments[..<boundary]), Array(segments[boundary...]))
  }

  /// The sample of a prompt's and a completion's ids, EOS appended and supervised.
  public static func sample(prompt: [Int32], completion: [Int32], endOfText: Int32) -> Sample {
    Sample(tokens: prompt + completion + [endOfText], promptCount: prompt.count)
  }

  /// How a record of `tokens` tokens, `prompt` of them its prompt, fits into `maxLength`.
  ///
  /// Truncation takes from the prompt's left, so that the answer and its EOS stay, and leaves at least one token of it:
  /// without a predecessor the first token of the answer could not be learnt. An answer that cannot fit is dropped
  /// whatever the policy.
  public static func fit(tokens: Int, prompt: Int, maxLength: Int, overlong: OverlongPolicy) -> FittingOutcome {
    let excess = tokens - maxLength
    if excess <= 0 { return .kept }
    if tokens - prompt + min(1, prompt) > maxLength { return .dropped(.answerTooLong) }
    switch overlong {
    case .error: return .refused
    case .drop: return .dropped(.tooLong)
    case .truncate: return .truncated(removed: excess)
    }
  }

  /// `sample` without the first `removed` tokens of its prompt.
  public static func truncate(_ sample: Sample, removing removed: Int) -> Sample {
    removed == 0
      ? sample : Sample(tokens: Array(sample.tokens[removed...]), promptCount: sample.promptCount - removed)
  }
}
