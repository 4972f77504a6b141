import Core
import Evaluating

extension InferenceSession {
  /// What every part of the model gives for a text as it is, without a template.
  ///
  /// Throws `usage` for an empty text, `badData` for one that is longer than the model's context.
  public func activations(of text: String, everyPosition: Bool) throws -> ActivationReport {
    guard !text.isEmpty else { throw SFTError(.usage, "the text is empty", advice: "Give one with \(OptionName.text)") }
    let tokens = prompt(text: text).ids
    let context = base.decoder.configuration.contextLength
    guard (1...context).contains(tokens.count) else {
      throw SFTError(
        .badData,
        "the text has \(grouped(tokens.count)) tokens, more than the model's context of \(grouped(context))")
    }
    return ActivationReport(text, tokens, pass, everyPosition: everyPosition)
  }
}
