import Core
import SampleEncoding
import Templating
import Tokenizing

/// The tokens of a chat template, and those whose rows a run is to train.
struct TemplateTokens {
  let layout: RecordLayout
  let tokenizer: Tokenizer

  /// What `--train-tokens` takes for the template's own tokens.
  static let ownName = "auto"

  private var encoder: SampleEncoder {
    SampleEncoder(template: layout.template, tokenizer: tokenizer, endOfText: tokenizer.endOfText ?? 0)
  }

  /// The ids that some texts stand for, in rising order, those of `auto` with them.
  ///
  /// Throws `usage` for a text that is no token, and for `auto` where the template writes no token of its own or ends
  /// no turn with one.
  func ids(_ texts: [String]) throws -> [Int32] {
    var ids = Set<Int32>()
    for text in texts {
      if text == Self.ownName { ids.formUnion(try own()) } else { ids.insert(try id(text)) }
    }
    return ids.sorted()
  }

  private func own() throws -> [Int32] {
    guard layout.isChat else {
      throw SFTError(
        .usage, "the data were prepared with the template \(layout.name), which writes no tokens of its own to train",
        advice: "Prepare the data with a chat template, or name the tokens: \(OptionName.trainTokens) TOKEN,TOKEN")
    }
    let own = encoder.templateTokens
    guard !own.isEmpty, encoder.turnEnd != nil else {
      throw SFTError(
        .usage,
        "the vocabulary has no token that the template \(layout.name) ends a turn with: its marks are cut into text",
        advice:
          "Prepare the data with a template whose tokens are in the vocabulary, such as zephyr, which needs the end "
          + "token alone; or, where the model's matrices have spare rows, name them in the tokenizer's files")
    }
    return own
  }

  private func id(_ text: String) throws -> Int32 {
    if let special = tokenizer.specialTokens[text] { return special }
    var ids: [Int32] = []
    tokenizer.makeEncoder().encode([TextPiece(text: text, recognisesSpecialTokens: true)], into: &ids)
    guard ids.count == 1, let id = ids.first else {
      throw SFTError(
        .usage, "\(quotedList([text])) is no token of the vocabulary: it is cut into \(ids.count)",
        advice: "Rows can be trained, not added: name tokens of the tokenizer, or a spare row in its files")
    }
    return id
  }

  /// What will happen to a base that may never have learnt the template's tokens where only an adapter is trained; nil
  /// where it has a template of its own, or the template writes no more than the usual tokens.
  func warning(folder: String) throws -> String? {
    guard case .chat(let template, _) = layout.template, layout.name != RecordLayout.modelName,
      try ChatTemplate.of(folder: folder) == nil
    else { return nil }
    let usual = Set(["bos_token", "eos_token", "unk_token"].compactMap { template.specialTokens[$0] })
    let texts = try encoder.templateTokens.filter { !tokenizer.endTokens.contains($0) }
      .map { try tokenizer.decode([$0], skipSpecialTokens: false) }.filter { !usual.contains($0) }
    guard !texts.isEmpty else { return nil }
    return "the template \(layout.name) writes \(quotedList(texts)), which this model may never have learnt: it brings "
      + "no chat template of its own. An adapter leaves the vectors of tokens as they are, so answers may not end and "
      + "roles may be confused; `sft train \(OptionName.trainTokens)` trains them too"
  }

  /// What a conversation's turns end with; nil where that is no token.
  var turnEnd: Int32? { encoder.turnEnd }
}
