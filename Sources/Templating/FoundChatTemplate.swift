import Core
import Files
import GGUF
import JSON

extension ChatTemplate {
  /// The template of a model folder: `chat_template.jinja` and `additional_chat_templates/*.jinja`, else what
  /// `tokenizer_config.json` holds as `chat_template`; or those of a GGUF file, where `folder` is the path of one. nil where the
  /// model has none.
  ///
  /// Throws `badData` with the file and line where one is faulty.
  public static func of(folder: String) throws -> ChatTemplate? {
    var sources = try GGUFFile.isOne(folder) ? held(GGUFFile(folder)) : filed(folder)
    if sources.isEmpty { sources = try configured(folder) }
    guard !sources.isEmpty else { return nil }
    return try ChatTemplate(sources, specialTokens: tokens(folder))
  }

  static func tokens(_ folder: String) throws -> [String: String] {
    Dictionary(try specialTokenTexts(folder: folder).map { ($0.name, $0.text) }) { first, _ in first }
  }

  /// `tokenizer.chat_template`, and others by name.
  private static func held(_ file: GGUFFile) throws -> [Source] {
    let key = "tokenizer.chat_template"
    return try file.metadata.keys.filter { $0 == key || $0.hasPrefix(key + ".") }.compactMap { name in
      guard let text = try file.metadata.string(name) else { return nil }
      return name == key
        ? Source(text: text, file: file.path)
        : Source(name: String(name.dropFirst(key.count + 1)), text: text, file: file.path)
    }
  }

  private static func filed(_ folder: String) throws -> [Source] {
    var sources: [Source] = []
    let main = "\(folder)/chat_template.jinja"
    if try fileExists(main) { sources.append(Source(text: try text(main), file: main)) }
    let more = "\(folder)/additional_chat_templates"
    guard try directoryExists(more) else { return sources }
    for file in try directoryEntries(more).sorted() where file.hasSuffix(".jinja") {
      let path = "\(more)/\(file)"
      sources.append(Source(name: String(file.dropLast(".jinja".count)), text: try text(path), file: path))
    }
    return sources
  }

  /// A template file's text.
  static func text(_ path: String) throws -> String {
    let bytes = try readFile(path, limit: sizeLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SFTError(.badData, "is not valid UTF-8", file: path)
    }
    return text
  }

  private static func configured(_ folder: String) throws -> [Source] {
    let path = "\(folder)/tokenizer_config.json"
    guard try fileExists(path) else { return [] }
    switch try parseJSONFile(path)["chat_template"] {
    case nil, .null: return []
    case .string(let text): return [Source(text: text, file: path)]
    case .array(let entries):
      return try entries.map { entry in
        guard let name = entry["name"]?.string, let text = entry["template"]?.string else {
          throw SFTError(.badData, "an entry of 'chat_template' lacks its name or its template", file: path)
        }
        return Source(name: name, text: text, file: path)
      }
    default: throw SFTError(.badData, "'chat_template' is neither a string nor a list", file: path)
    }
  }
}
