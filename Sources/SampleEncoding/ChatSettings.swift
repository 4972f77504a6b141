import Core
import JSON
import Templating

/// Which turns of a conversation loss is taken on.
public enum TrainedTurns: String, Sendable, Codable, CaseIterable {
  /// Every turn of the assistant.
  case assistant
  /// The last turn of the assistant.
  case last
  /// Everything that is written, the template's own text included.
  case all
}

/// How conversations become samples.
public struct ChatSettings: Sendable {
  public var trainOn: TrainedTurns
  /// Tokens of the longest sample that is wanted.
  public var maxLength: Int
  /// Leave turns out from the start of a conversation that is longer.
  public var cutsTurns: Bool

  public init(trainOn: TrainedTurns = .assistant, maxLength: Int = .max, cutsTurns: Bool = false) {
    self.trainOn = trainOn
    self.maxLength = maxLength
    self.cutsTurns = cutsTurns
  }
}

/// How a record's text is laid out before it is tokenised.
public enum SampleTemplate: Sendable {
  /// As it is: a prompt and its completion, or one text.
  case plain
  /// A question and its answer in turn.
  case prompt(PromptTemplate)
  /// A model's own, with the date that it takes for today's.
  case chat(ChatTemplate, PinnedDate)
}

/// What renders conversations: a chat template, as far as samples need to know it.
package protocol ChatRenderer: Sendable {
  /// Whether it marks by itself what is the assistant's.
  var marksGeneration: Bool { get }

  func pieces(_ messages: [JSONValue], tools: JSONValue?, addGenerationPrompt: Bool) throws -> [RenderedPiece]
}

/// A chat template on one day.
struct DatedTemplate: ChatRenderer {
  let template: ChatTemplate
  let date: PinnedDate

  var marksGeneration: Bool { template.marksGeneration }

  func pieces(_ messages: [JSONValue], tools: JSONValue?, addGenerationPrompt: Bool) throws -> [RenderedPiece] {
    do {
      return try template.render(
        messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt, date: date)
    } catch let failure as ChatTemplateFailure {
      throw EncodingFault(failure.error(file: nil, line: nil).message)
    } catch let error as SFTError where error.kind == .badData {
      throw EncodingFault(error.message, advice: error.advice)
    }
  }
}

/// Why a record gives no sample: one sentence without its place and without a full stop.
public struct EncodingFault: Error, Sendable, Equatable {
  public var message: String
  public var advice: String?

  public init(_ message: String, advice: String? = nil) {
    self.message = message
    self.advice = advice
  }
}
