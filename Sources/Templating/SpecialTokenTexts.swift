import Core
import Files
import JSON

/// The special tokens of a model folder, by the names that templates know them by: `bos_token`, `eos_token` …
func specialTokenTexts(folder: String) throws -> [(name: String, text: String)] {
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
