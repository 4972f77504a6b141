import Core
import Embedded
import Files
import JSON
import Training

/// An option as it was typed, or stood in a settings file.
public struct TypedSetting: Sendable, Equatable {
  /// Without dashes.
  public var name: String
  /// nil for a flag that is on.
  public var value: String?

  public init(name: String, value: String?) {
    self.name = name
    self.value = value
  }

  /// A settings file in YAML that says the same, in order; a name that stands several times has a list.
  public static func yaml(_ settings: [TypedSetting]) -> String {
    var (names, values) = ([String](), [String: [String?]]())
    for setting in settings {
      if values[setting.name] == nil { names.append(setting.name) }
      values[setting.name, default: []].append(setting.value)
    }
    return names.map { name in
      let texts = (values[name] ?? []).map { $0.map(scalar) ?? "true" }
      return "\(name): " + (texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]") + "\n"
    }.joined()
  }

  /// Plain where YAML cannot take it for something else; in quotes, as JSON has them, elsewhere.
  private static func scalar(_ text: String) -> String {
    let isPlain =
      text.utf8.first.map { (48...57).contains($0) || (65...90).contains($0 & 0xdf) || $0 == 47 || $0 == 46 } ?? false
    let isSafe = text.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte & 0xdf) || "._-/+".utf8.contains(byte)
    }
    let words: Set = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
    return isPlain && isSafe && !words.contains(text.lowercased()) ? text : JSONValue.string(text).serialized
  }
}

extension TrainOptions {
  /// A settings file that trains the same again as a run of another name. `taken` are options that the run was not
  /// told, and took from the workspace; with a `sibling` it is the sibling's file with another rate.
  func settingsText(_ verb: RunVerb, taken: [TypedSetting], like sibling: RunFolder?) throws -> String {
    if let sibling, let rate = learningRate, try fileExists(sibling.settings) {
      let text = String(decoding: try readFile(sibling.settings, limit: 1 << 20), as: UTF8.self)
      return text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.hasPrefix("\(OptionName.lr.rawValue): ") ? "\(OptionName.lr.rawValue): \(rate)" : String($0) }.joined(
          separator: "\n")
    }
    let left: Set = Set([OptionName.run, .resume, .noMemoryCheck].map(\.rawValue) + ["workspace"])
    var settings = typedSettings.filter { !left.contains($0.name) }
    // Of a sweep each run has its own.
    if let rate = learningRate, let index = settings.firstIndex(where: { $0.name == OptionName.lr.rawValue }) {
      settings[index].value = "\(rate)"
    }
    // So that it may be used from any folder.
    let names: [OptionName] = [.model, .prepared, .initAdapter, .config, .tokenizer, .tensorboard]
    let paths = Set(names.map(\.rawValue) + ["files"])
    for index in settings.indices where paths.contains(settings[index].name) {
      guard let value = settings[index].value else { continue }
      // A name of the hub's, or the model inside this program, may be a folder's name, too.
      let isName =
        try settings[index].name == OptionName.model.rawValue
        && (value == EmbeddedModel.name || !fileExists(value + "/config.json"))
      if !isName { settings[index].value = canonicalPath(value) ?? value }
    }
    settings += taken.filter { setting in !settings.contains { $0.name == setting.name } }
    return "# Trains the same again: sft \(verb.rawValue) --\(verb.settingsOption) THIS_FILE\n"
      + TypedSetting.yaml(settings)
  }
}
