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

extension FittingOutcome {
  /// How a sample of `tokens` tokens, `prompt` of them before the first that is trained, fits into `maxLength`.
  ///
  /// Truncation takes from the prompt's left, so that all that is trained stays, and leaves at least one token of it:
  /// without a predecessor the first token of the answer could not be learnt. An answer that cannot fit is dropped
  /// whatever the policy. Without `cutsPrompts`, as where a chat template has laid out what precedes the answer, truncation
  /// is not to be had, and the sample is dropped.
  public init(tokens: Int, prompt: Int, maxLength: Int, overlong: OverlongPolicy, cutsPrompts: Bool = true) {
    let excess = tokens - maxLength
    if excess <= 0 {
      self = .kept
    } else if tokens - prompt + min(1, prompt) > maxLength {
      self = .dropped(.answerTooLong)
    } else {
      switch overlong {
      case .error: self = .refused
      case .drop: self = .dropped(.tooLong)
      case .truncate: self = cutsPrompts ? .truncated(removed: excess) : .dropped(.tooLong)
      }
    }
  }
}
