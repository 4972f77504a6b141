import Core
import Exporting
import Templating
import Tokenizing

/// Writes a whole model for llama.cpp and Ollama, a session's adapter merged in where it has one. The session's weights must
/// be those of the files, not in 4 bits. `name` is the model's, and its file's.
public func exportGGUF(
  _ session: InferenceSession, dtype: GGUFWeightType, name: String, to folder: String
) throws -> GGUFExportReport {
  try exportGGUF(
    session.base.checkpoint, session.base.decoder, adapter: session.adapter, tokenizer: try session.ggufTokenizer,
    dtype: dtype, name: name, to: folder, threads: session.threads)
}

/// Writes a session's adapter as a LoRA file for llama.cpp and Ollama. `base` is the base's GGUF file, or Ollama's name of it.
///
/// Throws `usage` where there is no adapter.
public func exportGGUFAdapter(
  _ session: InferenceSession, base: String, dtype: GGUFWeightType, name: String, to folder: String
) throws -> GGUFExportReport {
  let turns = try session.exportedTurns
  var report = try exportGGUFAdapter(
    try session.exportedAdapter(orWhole: .gguf), for: session.base.decoder, base: base, dtype: dtype, name: name,
    orElse: session.base.checkpoint.isGGUF ? .peft : .gguf, stops: [turns?.end?.text].compactMap(\.self), to: folder)
  if turns?.template != nil {
    report.remarks.append(
      "The adapter was trained with another template than its base has, which such a file cannot say: lay conversations out "
        + "with it, or merge")
  }
  return report
}

extension InferenceSession {
  /// The base's tokenizer, with the template and the end of a turn that the weights were trained with.
  var ggufTokenizer: GGUFTokenizer {
    get throws {
      let turns = try exportedTurns
      let template = try turns?.template ?? ChatTemplate.of(folder: base.folder)?.source
      var vocabulary = try GGUFVocabulary(
        folder: base.folder, rows: base.checkpoint.configuration.vocabularySize, conversational: template != nil)
      if let end = turns?.end { vocabulary.end(first: end.id) }
      return GGUFTokenizer(vocabulary, template: template)
    }
  }
}
