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
public struct TextSegment: Sendable, Equatable {
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
