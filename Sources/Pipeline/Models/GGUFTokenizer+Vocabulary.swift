import Exporting
import GGUF
import Tokenizing

extension GGUFTokenizer {
  /// `template` is Jinja; nil where conversations have none.
  public init(_ vocabulary: GGUFVocabulary, template: String?) {
    var metadata = GGUFMetadata()
    func set(_ key: String, _ value: GGUFValue) { metadata["tokenizer.ggml." + key] = value }
    func set(_ key: String, id: Int32?) {
      if let id { set(key, .uint32(UInt32(clamping: id))) }
    }
    set("model", .string(vocabulary.model.rawValue))
    set("pre", .string(vocabulary.preTokenizer))
    set("tokens", .array(.strings(vocabulary.tokens.map(\.text))))
    set("token_type", .array(.int32s(vocabulary.tokens.map(\.kind.rawValue))))
    switch vocabulary.model {
    case .byteLevel: set("merges", .array(.strings(vocabulary.merges)))
    case .sentencePiece:
      set("scores", .array(.float32s(vocabulary.tokens.map(\.score))))
      set("add_space_prefix", .bool(vocabulary.addsSpacePrefix))
    }
    set("bos_token_id", id: vocabulary.beginning)
    // llama.cpp ends at each of these, whatever its name says.
    for (key, id) in zip(["eos_token_id", "eot_token_id", "eom_token_id"], vocabulary.ends) { set(key, id: id) }
    set("unknown_token_id", id: vocabulary.unknown)
    set("padding_token_id", id: vocabulary.padding)
    set("add_bos_token", .bool(vocabulary.addsBeginning))
    set("add_eos_token", .bool(vocabulary.addsEnd))
    if let template { metadata["tokenizer.chat_template"] = .string(template) }
    var remarks = vocabulary.remarks
    if vocabulary.ends.count > 3 {
      remarks.append("GGUF names three of the \(vocabulary.ends.count) tokens that end a text")
    }
    self.init(
      metadata: metadata, tokenCount: vocabulary.tokens.count,
      stops: vocabulary.ends.compactMap { id in
        vocabulary.tokens.indices.contains(Int(id)) ? vocabulary.tokens[Int(id)].text : nil
      }, stripsAsPhi3: vocabulary.stripsAsPhi3, remarks: remarks)
  }
}
