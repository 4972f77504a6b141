import Core
import Files
import JSON

/// What the files beside a tokenizer say about its special tokens.
struct SpecialTokenNames {
  /// Every token that is named as special.
  var all: [String] = []
  /// The end-of-text token, and the file that names it.
  var endOfText: (content: String, file: String)?
  /// Its ids as the model's configuration has them, the first that counts first.
  var endOfTextIDs: [Int] = []
  /// Overrides the pre-tokeniser's setting, as Hugging Face's GPT-2 class does.
  var addPrefixSpace: Bool?

  private static let keys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  init(folder: String) throws {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
      let path = "\(folder)/\(name)"
      guard fileExists(path) else { continue }
      let root = try Self.object(path)
      for key in Self.keys {
        guard let content = Self.content(root[key]) else { continue }
        all.append(content)
        if key == "eos_token", endOfText == nil { endOfText = (content, path) }
      }
      for key in ["additional_special_tokens", "extra_special_tokens"] {
        let items = root[key]?.array ?? root[key]?.object?.members.map(\.value) ?? []
        all += items.compactMap { Self.content($0) }
      }
      if name == "tokenizer_config.json", root["tokenizer_class"]?.string?.hasPrefix("GPT2Tokenizer") == true {
        addPrefixSpace = root["add_prefix_space"]?.bool
      }
    }
    for name in ["config.json", "generation_config.json"] {
      let path = "\(folder)/\(name)"
      guard fileExists(path) else { continue }
      let value = try Self.object(path)["eos_token_id"]
      endOfTextIDs += value?.array?.compactMap(\.int) ?? value?.int.map { [$0] } ?? []
    }
  }

  private static func object(_ path: String) throws -> JSONObject {
    guard let object = try parseJSONFile(path).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    return object
  }

  /// A token is written as its text or as an object that holds it.
  private static func content(_ value: JSONValue?) -> String? { value?.string ?? value?["content"]?.string }
}
