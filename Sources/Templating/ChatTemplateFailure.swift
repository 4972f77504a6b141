import Core

/// Why a chat template did not render a conversation. It can be worded for the record that was rendered.
public struct ChatTemplateFailure: Error, Sendable, Equatable {
  public enum Reason: Sendable, Equatable {
    /// The template itself refused, by `raise_exception`: roles out of order, say.
    case refused
    /// The template failed: it used something that this conversation does not have.
    case failed
    /// The template took more steps, memory, depth or text than it may.
    case exceeded
  }

  public var reason: Reason
  /// One sentence without a full stop; for `refused`, the template's own words.
  public var message: String
  /// The template's file or name, and the 1-based line in it.
  public var template: String
  public var line: Int

  public init(reason: Reason, message: String, template: String, line: Int) {
    (self.reason, self.message, self.template, self.line) = (reason, message, template, line)
  }

  /// As an error about a record: `FILE:LINE: the chat template TEMPLATE, line N, refuses it: message.`
  public func error(file: String?, line recordLine: Int?) -> SFTError {
    let place = "the chat template \(template), line \(line),"
    let words =
      switch reason {
      case .refused: "\(place) refuses the conversation: \(printable(message))"
      case .failed: "\(place) fails on the conversation: \(printable(message))"
      case .exceeded: "\(place) is stopped: \(printable(message))"
      }
    return SFTError(.badData, words, file: file, line: recordLine)
  }
}
