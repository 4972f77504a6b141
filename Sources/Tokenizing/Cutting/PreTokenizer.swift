/// What happens to a stretch of text before its words are encoded: steps that cut it, each cutting what the one before
/// left whole, and that write spaces in another way.
struct PreTokenizer: Sendable, Equatable {
  enum Step: Sendable, Equatable {
    /// Text that does not start with a space is given one (`ByteLevel`'s `add_prefix_space`).
    case prefixSpace
    /// Numerals apart from the rest, together or each alone.
    case digits(individual: Bool)
    /// Cut into the words of a pattern that covers everything.
    case words(WordPattern)
    case split(Split)
    case metaspace(Metaspace)
  }

  var steps: [Step] = []

  /// Every word ends before a line end between two letters, and no step depends on where in a text it is.
  var cutsBetweenLines: Bool {
    guard !steps.isEmpty else { return false }
    return steps.allSatisfy { step in
      switch step {
      case .digits, .words: true
      case .split(let split): split.pattern == .regex(.marksAndWords) && split.cutsAtMatches
      case .prefixSpace, .metaspace: false
      }
    }
  }
}

/// Cuts at the matches of a pattern (`Split`).
struct Split: Sendable, Equatable {
  enum Pattern: Sendable, Equatable {
    case text([UInt8])
    case regex(WordPattern)
  }

  /// What becomes of a match.
  enum Behavior: String, Sendable {
    case isolated = "Isolated"
    case removed = "Removed"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  var pattern: Pattern
  var behavior: Behavior
  /// What lies between the matches is what counts as matched.
  var inverted: Bool

  /// Matches, and what lies between them, are pieces.
  var cutsAtMatches: Bool { behavior == .isolated }

  /// A step that does the same in the quickest way.
  var step: PreTokenizer.Step {
    // Where every character is matched, removing what is not removes nothing.
    if case .regex(let pattern) = pattern, pattern.coversEverything,
      behavior == .isolated || behavior == .removed && inverted
    {
      return .words(pattern)
    }
    return .split(self)
  }
}
