import Core
import JSON

/// Reads Hugging Face's `tokenizer.json`: BPE over bytes or characters, and every part that it does not understand refused by
/// name.
struct TokenizerJSON {
  let path: String
  var result = TokenizerDescription()

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

  func unsupported(_ what: String) -> SFTError {
    SFTError(
      .badData, "\(what) is not supported", file: path,
      advice: "Use a model whose tokenizer is BPE, as those of GPT-2, LLaMA, Qwen, Gemma and Mistral are")
  }

  func malformed(_ what: String) -> SFTError { SFTError(.badData, what, file: path) }

  // MARK: - The model

  private mutating func readModel(_ value: JSONValue?) throws {
    guard let whole = value, let model = whole.object else { throw malformed("has no \"model\"") }
    let type = model["type"]?.string ?? "BPE"
    guard type == "BPE" else { throw unsupported("the tokenizer model \"\(type)\"") }
    if let dropout = model["dropout"]?.double, dropout != 0 { throw unsupported("\"dropout\" \(dropout)") }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = model[name]?.string, !text.isEmpty { throw unsupported("\"\(name)\" \"\(text)\"") }
    }
    result.byteFallback = try whole.flag("byte_fallback", default: false, path)
    result.fusesUnknown = try whole.flag("fuse_unk", default: false, path)
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

  func type(of value: JSONValue, _ what: String) throws -> String {
    guard let type = value["type"]?.string else { throw malformed("its \(what) has no \"type\"") }
    return type
  }

  /// nil where there is none: absent or null.
  func present(_ value: JSONValue?) -> JSONValue? {
    value?.isNull == false ? value : nil
  }

  /// The parts of a `Sequence`, in order; any other component is its own only part.
  func parts(_ value: JSONValue, _ what: String, _ key: String) throws -> [JSONValue] {
    guard try type(of: value, what) == "Sequence" else { return [value] }
    guard let items = value[key]?.array else { throw malformed("its \(what) is a Sequence without \"\(key)\"") }
    return try items.flatMap { try parts($0, what, key) }
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
