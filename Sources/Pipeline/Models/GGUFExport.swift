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
  guard let adapter = session.adapter else {
    throw SFTError(
      .usage, "there is no adapter to export", advice: "Train a run first, or give \(OptionName.adapter) DIR")
  }
  return try exportGGUFAdapter(
    adapter, for: session.base.decoder, base: base, dtype: dtype, name: name, to: folder)
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
