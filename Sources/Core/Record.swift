/// One instruction record (the Alpaca form), as loaded and validated.
public struct Record: Sendable, Equatable {
  public var instruction: String
  /// Empty when the record has none.
  public var input: String
  public var output: String
  /// Index into the list of files that were loaded together.
  public var file: Int
  /// 1-based line at which the record starts in its file.
  public var line: Int

  public init(instruction: String, input: String, output: String, file: Int = 0, line: Int = 0) {
    self.instruction = instruction
    self.input = input
    self.output = output
    self.file = file
    self.line = line
  }
}

/// A piece of templated text. Where it came from decides how it is tokenised, and `trained` whether loss is taken on it.
public struct Segment: Sendable, Equatable {
  public var text: String
  /// Loss is taken on this piece.
  public var trained: Bool
  /// The template's own text, in which special tokens are recognised; false for a record's field, which is always text.
  public var literal: Bool

  public init(text: String, trained: Bool, literal: Bool) {
    self.text = text
    self.trained = trained
    self.literal = literal
  }
}

/// One tokenised record: a prompt, on which no loss is taken, and a completion that ends in EOS, on which it is.
public struct Sample: Sendable, Equatable {
  /// Label of a position on which no loss is taken (PyTorch's `ignore_index`).
  public static let ignoredLabel: Int32 = -100

  /// Prompt then completion, EOS included.
  public var tokens: [Int32]
  /// How many of `tokens` are the prompt.
  public var promptCount: Int

  public init(tokens: [Int32], promptCount: Int) {
    precondition(promptCount >= 0 && promptCount <= tokens.count)
    self.tokens = tokens
    self.promptCount = promptCount
  }

  /// As many as `tokens`: `ignoredLabel` over the prompt, the token itself after it. Not shifted: the loss at position
  /// t-1 is against `labels[t]`.
  public var labels: [Int32] {
    var labels = tokens
    for position in 0..<promptCount { labels[position] = Self.ignoredLabel }
    return labels
  }

  /// Positions on which loss is taken. The first token of all has no predecessor to predict it.
  public var supervisedCount: Int { max(0, tokens.count - max(promptCount, 1)) }
}
