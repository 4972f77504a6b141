import Core
import SampleEncoding
import Templating
import TestSupport
import Testing
import Tokenizing

@Suite struct SampleEncoderTests {
  private let tokenizer: Tokenizer
  private let encoder: SampleEncoder

  init() throws {
    tokenizer = try Tokenizer(folder: try ReferenceCase("gpt2-tiny").model)
    encoder = SampleEncoder(
      template: try PromptTemplate(source: "Q: {{instruction}}\n{{#trained}}{{output}}{{/trained}}", name: "t"),
      tokenizer: tokenizer, endOfText: 0)
  }

  private func ids(_ text: String) -> [Int32] { tokenizer.makeEncoder().encode(text) }

  private func segment(_ text: String, trained: Bool) -> Segment {
    Segment(text: text, trained: trained, literal: true)
  }

  @Test func theAnswerAndItsEndAreTrained() {
    let sample = encoder.samples([Record(instruction: "Who?", input: "", output: "She did.")])[0]
    let (prompt, answer) = (ids("Q: Who?\n"), ids("She did."))
    #expect(sample == Sample(tokens: prompt + answer + [0], promptCount: prompt.count))
  }

  /// No token spans the boundary, though " the" is one.
  @Test func noTokenSpansWhatIsTrainedAndWhatIsNot() {
    let sample = encoder.sample([segment("and ", trained: false), segment("the", trained: true)])
    let prompt = ids("and ")
    #expect(sample == Sample(tokens: prompt + ids("the") + [0], promptCount: prompt.count))
    #expect(ids("and the") != prompt + ids("the"))
  }

  @Test func everyTrainedRunEndsInEOS() {
    let sample = encoder.sample([
      segment("a", trained: false), segment("b", trained: true), segment("c", trained: false),
      segment("d", trained: true),
    ])
    #expect(sample.tokens == ids("a") + ids("b") + [0] + ids("c") + ids("d") + [0])
    #expect(sample.supervised == [1..<3, 4..<6])
  }

  /// As the expected answer to a question may be.
  @Test func anEmptyAnswerIsItsEnd() {
    let sample = encoder.samples([Record(instruction: "Who?", input: "", output: "")])[0]
    #expect(sample.supervised == [sample.tokens.count - 1..<sample.tokens.count] && sample.tokens.last == 0)
    #expect(encoder.sample([]) == Sample(tokens: [0], promptCount: 0))
  }
}
