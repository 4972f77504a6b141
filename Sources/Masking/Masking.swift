import Core

/// What to do with a record that is longer than the maximum length.
public enum OverlongPolicy: String, Sendable, Codable, CaseIterable {
  case error
  case drop
  case truncate
}

/// What became of one record.
public enum MaskingOutcome: Sendable, Equatable {
  case kept(Sample)
  /// Kept, with this many tokens of the prompt's start removed.
  case truncated(Sample, removed: Int)
  case dropped(DropReason)
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
  /// Joins what the template gave into the two texts that are tokenised, each in one call: no token spans the boundary,
  /// and a text's ids do not depend on how it was put together.
  public static func split(_ segments: [Segment]) -> (prompt: [Segment], completion: [Segment]) {
    let boundary = segments.firstIndex(where: \.trained) ?? segments.endIndex
    return (Array(segments[..<boundary]), Array(segments[boundary...]))
  }

  /// The sample for a prompt's and a completion's ids, fitted into `maxLength` tokens.
  ///
  /// Truncation takes from the prompt's left, so that the answer and its EOS stay, and leaves at least one token of it:
  /// without a predecessor the first token of the answer could not be learnt. Nil where `overlong` is `.error`.
  public static func sample(
    prompt: [Int32], completion: [Int32], endOfText: Int32, maxLength: Int, overlong: OverlongPolicy
  ) -> MaskingOutcome? {
    let tokens = prompt + completion + [endOfText]
    let whole = Sample(tokens: tokens, promptCount: prompt.count)
    return fit(whole, maxLength: maxLength, overlong: overlong)
  }

  /// `sample` cut to `maxLength`; nil where it does not fit and `overlong` is `.error`.
  public static func fit(_ sample: Sample, maxLength: Int, overlong: OverlongPolicy) -> MaskingOutcome? {
    let excess = sample.tokens.count - maxLength
    if excess <= 0 { return .kept(sample) }
    let answer = sample.tokens.count - sample.promptCount
    if answer + min(1, sample.promptCount) > maxLength { return .dropped(.answerTooLong) }
    switch overlong {
    case .error: return nil
    case .drop: return .dropped(.tooLong)
    case .truncate:
      let shorter = Sample(tokens: Array(sample.tokens[excess...]), promptCount: sample.promptCount - excess)
      return .truncated(shorter, removed: excess)
    }
  }
}
