import Core
import JSON

/// Reads Hugging Face's `tokenizer.json`: byte-level BPE, and every part that it does not understand refused by name.
struct TokenizerJSON {
  private let path: String
  private var result = TokenizerDescription()

  static func read(_ path: String) throws -> TokenizerDescription {
    let root = try parseJSONFile(path)
    guard root.object != nil else { throw SFTError(.badData, "is not a JSON object", file: path) }
    var reader = TokenizerJSON(path: path)
    try reader.readModel(root["model"])
    try reader.readNormalizer(root["normalizer"])
    try reader.readPreTokenizer(root["pre_tokenizer"])
    try reader.readDecoder(root["decoder"])
    try reader.readPostProcessor(root["post_processor"])
    try reader.readAddedTokens(root["added_tokens"])
    return reader.result
  }

  private init(path: String) {
    self.path = path
    result.vocabularyFile = path
    result.mergesFile = path
  }

  private func unsupported(_ what: String) -> SFTError {
    SFTError(
      .badData, "\(what) is not supported", file: path,
      advice: "Use a model with a byte-level BPE tokenizer, as GPT-2 and LLaMA 3 have")
  }

  private func malformed(_ what: String) -> SFTError { SFTError(.badData, what, file: path) }

  // MARK: - The model

  private mutating func readModel(_ value: JSONValue?) throws {
    guard let whole = value, let model = whole.object else { throw malformed("has no \"model\"") }
    let type = model["type"]?.string ?? "BPE"
    guard type == "BPE" else { throw unsupported("the tokenizer model \"\(type)\"") }
    if let dropout = model["dropout"]?.double, dropout != 0 { throw unsupported("\"dropout\" \(dropout)") }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = model[name]?.string, !text.isEmpty { throw unsupported("\"\(name)\" \"\(text)\"") }
    }
    if try whole.flag("byte_fallback", default: false, path) { throw unsupported("\"byte_fallback\"") }
    result.unknownToken = model["unk_token"]?.string
    result.ignoreMerges = try whole.flag("ignore_merges", default: false, path)
    guard let vocabulary = model["vocab"]?.object else { throw malformed("its model has no \"vocab\" object") }
    result.vocabulary = try vocabularyEntries(vocabulary, path)
    guard let merges = model["merges"]?.array else { throw malformed("its model has no \"merges\" array") }
    result.merges.reserveCapacity(merges.count)
    for (index, merge) in merges.enumerated() {
      guard let pair = mergePair(merge) else { throw malformed("merge \(index + 1) is not a pair of tokens") }
      result.merges.append(pair)
    }
  }

  /// `"a b"` or, since tokenizers 0.20, `["a", "b"]`.
  private func mergePair(_ value: JSONValue) -> (left: String, right: String)? {
    if let text = value.string { return splitMerge(text) }
    guard let pair = value.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
      return nil
    }
    return (left, right)
  }

  // MARK: - What happens around the model

  private func type(of value: JSONValue, _ what: String) throws -> String {
    guard let type = value["type"]?.string else { throw malformed("its \(what) has no \"type\"") }
    return type
  }

  /// nil where there is none: absent or null.
  private func present(_ value: JSONValue?) -> JSONValue? {
    value?.isNull == false ? value : nil
  }

  /// The parts of a `Sequence`, in order; any other component is its own only part.
  private func parts(_ value: JSONValue, _ what: String, _ key: String) throws -> [JSONValue] {
    guard try type(of: value, what) == "Sequence" else { return [value] }
    guard let items = value[key]?.array else { throw malformed("its \(what) is a Sequence without \"\(key)\"") }
    return try items.flatMap { try parts($0, what, key) }
  }

  private func readNormalizer(_ value: JSONValue?) throws {
    guard let value = present(value) else { return }
    if let first = try parts(value, "normalizer", "normalizers").first {
      throw unsupported("the normalizer \"\(try type(of: first, "normalizer"))\"")
    }
  }

  private mutating func readPreTokenizer(_ value: JSONValue?) throws {
    guard let value = present(value) else { throw unsupported("a tokenizer without a pre-tokenizer") }
    let parts = try parts(value, "pre-tokenizer", "pretokenizers")
    guard let last = parts.last, try type(of: last, "pre-tokenizer") == "ByteLevel" else {
      let name = try parts.last.map { try type(of: $0, "pre-tokenizer") } ?? "Sequence"
      throw unsupported("the pre-tokenizer \"\(name)\"")
    }
    result.split.addPrefixSpace = try last.flag("add_prefix_space", default: true, path)
    result.split.pattern = try last.flag("use_regex", default: true, path) ? .gpt2 : .none
    var cut = false
    for (index, part) in parts.dropLast().enumerated() {
      switch try type(of: part, "pre-tokenizer") {
      case "Split" where index == parts.count - 2 && result.split.pattern == .none:
        result.split.pattern = try splitPattern(part)
      case "Digits" where index == 0:
        guard try part.flag("individual_digits", default: false, path) else {
          throw unsupported("the pre-tokenizer \"Digits\" without \"individual_digits\"")
        }
        result.split.isolatesDigits = true
      case let name: throw unsupported("the pre-tokenizer \"\(name)\" before \"ByteLevel\"")
      }
      cut = true
    }
    if cut, result.split.addPrefixSpace {
      throw unsupported("\"add_prefix_space\" after another pre-tokenizer")
    }
  }

  private func splitPattern(_ value: JSONValue) throws -> WordPattern {
    guard let regex = value["pattern"]?["Regex"]?.string else {
      throw unsupported("the pre-tokenizer \"Split\" without a \"Regex\" pattern")
    }
    guard let pattern = WordPattern(regex: regex) else {
      throw unsupported("the pre-tokenizer \"Split\" with the regular expression \(regex)")
    }
    // Every character belongs to a word, so that removing what is between words removes nothing.
    let behaviour = value["behavior"]?.string ?? ""
    let invert = try value.flag("invert", default: false, path)
    guard behaviour == "Isolated" || behaviour == "Removed" && invert else {
      throw unsupported("the pre-tokenizer \"Split\" with the behavior \"\(behaviour)\"")
    }
    return pattern
  }

  private func readDecoder(_ value: JSONValue?) throws {
    guard let value = present(value) else { throw unsupported("a tokenizer without a decoder") }
    let parts = try parts(value, "decoder", "decoders")
    guard parts.count == 1, try type(of: parts[0], "decoder") == "ByteLevel" else {
      let names = try parts.map { try type(of: $0, "decoder") }
      throw unsupported("the decoder \"\(names.joined(separator: ", "))\"")
    }
  }

  /// Post-processors of these kinds only add special tokens.
  private mutating func readPostProcessor(_ value: JSONValue?) throws {
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

  private mutating func readAddedTokens(_ value: JSONValue?) throws {
    guard let value = present(value) else { return }
    guard let items = value.array else { throw malformed("its \"added_tokens\" are not an array") }
    result.addedTokens = try items.map { try AddedToken($0, id: $0["id"]?.int, file: path) }
  }
}

extension JSONValue {
  /// A setting that is on or off: absent or null it is `default`, anything but a boolean is an error.
  func flag(_ name: String, default missing: Bool, _ file: String) throws -> Bool {
    guard let value = self[name], !value.isNull else { return missing }
    guard let flag = value.bool else { throw SFTError(.badData, "its \"\(name)\" is not true or false", file: file) }
    return flag
  }
}

/// The members of a vocabulary object, whose values must be integers.
func vocabularyEntries(_ object: JSONObject, _ path: String) throws -> [(text: String, id: Int)] {
  try object.members.map { member in
    guard let id = member.value.int else {
      throw SFTError(.badData, "the id of the token \"\(member.key)\" is not an integer", file: path)
    }
    return (member.key, id)
  }
}

/// `"a b"` → (a, b); nil unless there is exactly one space with something on both sides.
func splitMerge(_ text: String) -> (left: String, right: String)? {
  let parts = text.utf8.split(separator: 0x20, omittingEmptySubsequences: false)
  guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
  return (String(Substring(parts[0])), String(Substring(parts[1])))
}
