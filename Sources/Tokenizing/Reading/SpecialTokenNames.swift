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
  /// Added tokens that are listed outside `tokenizer.json`.
  var addedTokens: [AddedToken] = []
  /// Overrides the pre-tokeniser's setting, as Hugging Face's GPT-2 class does.
  var addPrefixSpace: Bool?

  /// The token that begins a text.
  var beginning: String?
  /// Whether that stands before every text, and the one that ends a text after it. They count only for a folder without a
  /// tokenizer.json, whose post-processor says so itself: transformers ignores them there.
  var addsBeginning: Bool?
  var addsEnd: Bool?
  /// No file names special tokens.
  var isUnspecified = true

  private static let keys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  init(folder: String) throws {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
      let path = "\(folder)/\(name)"
      guard try fileExists(path) else { continue }
      let root = try Self.object(path)
      isUnspecified = false
      for key in Self.keys {
        guard let content = Self.content(root[key]) else { continue }
        all.append(content)
        if key == "bos_token", beginning == nil { beginning = content }
        if key == "eos_token", endOfText == nil { endOfText = (content, path) }
      }
      for key in ["additional_special_tokens", "extra_special_tokens"] {
        let items = root[key]?.array ?? root[key]?.object?.members.map(\.value) ?? []
        all += items.compactMap { Self.content($0) }
      }
      if name == "tokenizer_config.json", root["tokenizer_class"]?.string?.hasPrefix("GPT2Tokenizer") == true {
        addPrefixSpace = root["add_prefix_space"]?.bool
      }
      addsBeginning = addsBeginning ?? root["add_bos_token"]?.bool
      addsEnd = addsEnd ?? root["add_eos_token"]?.bool
      for member in root["added_tokens_decoder"]?.object?.members ?? [] {
        addedTokens.append(try AddedToken(member.value, id: Int(member.key), file: path))
      }
    }
    try readAddedTokens("\(folder)/added_tokens.json")
    for name in ["config.json", "generation_config.json"] {
      let path = "\(folder)/\(name)"
      guard try fileExists(path) else { continue }
      let value = try Self.object(path)["eos_token_id"]
      endOfTextIDs += value?.array?.compactMap(\.int) ?? value?.int.map { [$0] } ?? []
    }
  }

  /// The older form: ids by text, whose flags are the usual ones.
  private mutating func readAddedTokens(_ path: String) throws {
    guard try fileExists(path) else { return }
    for entry in try vocabularyEntries(try Self.object(path), path) {
      let isNamed = all.contains { $0.utf8.elementsEqual(entry.text.utf8) }
      guard let id = Int32(exactly: entry.id) else {
        throw SFTError(.badData, "the id \(entry.id) of the token \"\(entry.text)\" is out of range", file: path)
      }
      addedTokens.append(AddedToken(id: id, content: entry.text, special: isNamed))
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
