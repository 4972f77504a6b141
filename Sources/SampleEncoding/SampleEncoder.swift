import Core
import Synchronization
import Templating
import Tokenizing

/// Records → samples: the one place that turns what a template gives into ids and supervised ranges. For several threads
/// at once; each borrows a token encoder with its cache.
public final class SampleEncoder: Sendable {
  /// An encoder on its way between threads: one uses it at a time.
  private struct Idle: @unchecked Sendable { var encoder: TokenEncoder }

  private let template: PromptTemplate
  private let tokenizer: Tokenizer
  private let endOfText: Int32
  private let idle = Mutex<[Idle]>([])

  public init(template: PromptTemplate, tokenizer: Tokenizer, endOfText: Int32) {
    self.template = template
    self.tokenizer = tokenizer
    self.endOfText = endOfText
  }

  /// The whole sample of each record, EOS appended.
  public func samples(_ records: [Record]) -> [Sample] {
    borrowing { encoder in records.map { sample(template.render($0), encoder) } }
  }

  package func sample(_ segments: [Segment]) -> Sample { borrowing { sample(segments, $0) } }

  private func borrowing<Result>(_ body: (TokenEncoder) throws -> Result) rethrows -> Result {
    let encoder = idle.withLock { $0.popLast() }?.encoder ?? tokenizer.makeEncoder()
    defer {
      nonisolated(unsafe) let encoder = encoder
      idle.withLock { $0.append(Idle(encoder: encoder)) }
    }
    return try body(encoder)
  }

  /// Runs of segments that are trained or not are tokenised each in one call: no token spans a boundary between the two,
  /// and a run's ids do not depend on how its text was put together. EOS follows every trained run, and is trained.
  private func sample(_ segments: [Segment], _ encoder: TokenEncoder) -> Sample {
    var tokens: [Int32] = []
    var supervised: [Range<Int>] = []
    var rest = segments[...]
    func encode(_ run: ArraySlice<Segment>) { encoder.encode(run.map(TextPiece.init), into: &tokens) }
    encode(rest.prefix { !$0.trained })
    rest = rest.drop { !$0.trained }
    tokens = tokenizer.begin(tokens)
    // Where nothing is trained the end is.
    repeat {
      let start = tokens.count
      encode(rest.prefix(while: \.trained))
      tokens.append(endOfText)
      supervised.append(start..<tokens.count)
      rest = rest.drop(while: \.trained)
      encode(rest.prefix { !$0.trained })
      rest = rest.drop { !$0.trained }
    } while !rest.isEmpty
    return Sample(tokens: tokens, supervised: supervised)
  }
}

extension TextPiece {
  /// Special tokens are recognised in the template's own text only.
  public init(_ segment: Segment) { self.init(text: segment.text, recognisesSpecialTokens: segment.literal) }
}
