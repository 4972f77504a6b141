import Core
import JSON

extension TokenizerJSON {
  /// Post-processors of these kinds only add special tokens.
  mutating func readPostProcessor(_ value: JSONValue?) throws {
    guard let value = present(value) else { return }
    for part in try parts(value, "post-processor", "processors") {
      let name = try type(of: part, "post-processor")
      guard ["ByteLevel", "TemplateProcessing"].contains(name) else {
        throw unsupported("the post-processor \"\(name)\"")
      }
      if name == "TemplateProcessing" { try readTemplate(part) }
    }
  }

  /// What stands before and after a single text.
  private mutating func readTemplate(_ part: JSONValue) throws {
    guard let pieces = part["single"]?.array else { throw malformed("its \"TemplateProcessing\" has no \"single\"") }
    var texts = 0
    for piece in pieces {
      if piece["Sequence"] != nil {
        texts += 1
        continue
      }
      guard let name = piece["SpecialToken"]?["id"]?.string,
        let ids = part["special_tokens"]?[name]?["ids"]?.array?.map(\.int), !ids.isEmpty
      else { throw malformed("its \"TemplateProcessing\" names a token that has no ids") }
      for id in ids {
        guard let id, let token = Int32(exactly: id), token >= 0 else {
          throw malformed("its \"TemplateProcessing\" holds something that is not an id")
        }
        if texts == 0 { result.beginning.append(token) } else { result.ending.append(token) }
      }
    }
    guard texts == 1 else { throw unsupported("a \"TemplateProcessing\" that holds a text \(texts) times") }
  }
}
