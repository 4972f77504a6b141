import Core
import Files
import GGUF
import JSON

/// The special tokens of a model folder or a GGUF file, by the names that templates know them by: `bos_token`, `eos_token` …
func specialTokenTexts(folder: String) throws -> [(name: String, text: String)] {
  if try GGUFFile.isOne(folder) { return try specialTokenTexts(GGUFFile(folder)) }
  var tokens: [(name: String, text: String)] = []
  func add(_ name: String, _ value: JSONValue) {
    guard let text = value.string ?? value["content"]?.string, !tokens.contains(where: { $0.name == name }) else {
      return
    }
    tokens.append((name, text))
  }
  for file in ["tokenizer_config.json", "special_tokens_map.json"] {
    let path = "\(folder)/\(file)"
    guard try fileExists(path) else { continue }
    guard let root = try parseJSONFile(path).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    for member in root.members where member.key.hasSuffix("_token") { add(member.key, member.value) }
    // A model's own names, such as image_token.
    for key in ["extra_special_tokens", "model_specific_special_tokens"] {
      for member in root[key]?.object?.members ?? [] { add(member.key, member.value) }
    }
  }
  return tokens
}

/// What a GGUF file's keys name.
private func specialTokenTexts(_ file: GGUFFile) throws -> [(name: String, text: String)] {
  let texts = try file.metadata.strings("tokenizer.ggml.tokens") ?? []
  let names = [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad"), ("seperator", "sep")]
  return try names.compactMap { key, name in
    guard let id = try file.metadata.int("tokenizer.ggml.\(key)_token_id"), texts.indices.contains(id) else {
      return nil
    }
    return ("\(name)_token", texts[id])
  }
}
