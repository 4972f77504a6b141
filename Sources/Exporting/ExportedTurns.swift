import Core
import Files
import JSON

/// How the turns of a conversation are laid out for exported weights, and what ends them, where the base's own files say it
/// otherwise: transformers, llama.cpp and sft itself then ask in that way and stop there.
public struct ExportedTurns: Sendable {
  /// Jinja text; nil where the base's own is meant.
  public var template: String?
  /// A token that the base does not end a text with; nil where it does.
  public var end: (id: Int32, text: String)?
  /// What the base ends a text with.
  public var oldEnds: [Int32]

  public init(template: String?, end: (id: Int32, text: String)?, oldEnds: [Int32]) {
    (self.template, self.end, self.oldEnds) = (template, end, oldEnds)
  }

  /// Changes the files of an export in `folder`, the tokenizer's among them; `model` is the base's folder, whose
  /// configurations say what the export's do not. An adapter gets no `config.json`: transformers would take its folder for a
  /// whole model's.
  func apply(to folder: String, model: String) throws {
    if let template {
      try writeAtomically(template, to: folder + "/chat_template.jinja")
      // Some take the one in here first.
      try change("tokenizer_config.json", in: folder) { $0.members.removeAll { $0.key == "chat_template" } }
    }
    guard let end else { return }
    try change("tokenizer_config.json", in: folder, orNew: JSONObject()) { Self.setToken(end.text, in: &$0) }
    try change("special_tokens_map.json", in: folder) { Self.setToken(end.text, in: &$0) }
    let base = try Self.object(folder + "/config.json") ?? Self.object(model + "/config.json") ?? JSONObject()
    try change("config.json", in: folder) { object in
      let old = object["eos_token_id"]?.array?.compactMap(\.int)
      object.set("eos_token_id", old.map { Self.list([Int(end.id)] + $0) } ?? .integer(Int(end.id)))
    }
    var generation = JSONObject()
    for key in ["bos_token_id", "pad_token_id"] { if let value = base[key] { generation.set(key, value) } }
    let own = try Self.object(folder + "/generation_config.json") ?? Self.object(model + "/generation_config.json")
    try change("generation_config.json", in: folder, orNew: own ?? generation) { object in
      let old = object["eos_token_id"]
      let ends = old?.array?.compactMap(\.int) ?? old?.int.map { [$0] } ?? []
      object.set("eos_token_id", Self.list([Int(end.id)] + ends + oldEnds.map(Int.init)))
    }
  }

  /// Each once.
  private static func list(_ ids: [Int]) -> JSONValue {
    var seen = Set<Int>()
    return .array(ids.filter { seen.insert($0).inserted }.map { .integer($0) })
  }

  /// As a text, or in the object that holds one.
  private static func setToken(_ text: String, in object: inout JSONObject) {
    guard var token = object["eos_token"]?.object else { return object.set("eos_token", .string(text)) }
    token.set("content", .string(text))
    object.set("eos_token", .object(token))
  }

  /// nil where there is no such file.
  private static func object(_ path: String) throws -> JSONObject? {
    guard try fileExists(path) else { return nil }
    guard let object = try parseJSONFile(path, limit: 256 << 20).object else {
      throw SFTError(.badData, "is not a JSON object", file: path)
    }
    return object
  }

  private func change(
    _ name: String, in folder: String, orNew new: JSONObject? = nil, _ body: (inout JSONObject) -> Void
  ) throws {
    let path = folder + "/" + name
    guard var object = try Self.object(path) ?? new else { return }
    body(&object)
    try writeAtomically(JSONValue.object(object).serialized + "\n", to: path)
  }
}

extension JSONObject {
  /// In the member's place, or behind all.
  mutating func set(_ key: String, _ value: JSONValue) {
    if let place = members.firstIndex(where: { $0.key == key }) {
      members[place].value = value
    } else {
      members.append((key, value))
    }
  }
}
