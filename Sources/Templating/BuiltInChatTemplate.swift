import Core
import Files

extension ChatTemplate {
  /// The chat templates of prompts/, built into the program.
  private static let builtIn: [(name: String, bytes: [UInt8])] = [
    ("chatml", PackageResources.chatml_jinja), ("llama2", PackageResources.llama2_jinja),
    ("llama3", PackageResources.llama3_jinja), ("gemma", PackageResources.gemma_jinja),
    ("mistral", PackageResources.mistral_jinja), ("phi", PackageResources.phi_jinja),
    ("zephyr", PackageResources.zephyr_jinja), ("qwen", PackageResources.qwen_jinja),
  ]

  /// Names of the built-in templates.
  public static var builtInNames: [String] { builtIn.map(\.name) }

  /// The built-in template of that name, with the special tokens of the model in `folder`; nil where there is none.
  public static func builtIn(_ name: String, folder: String) throws -> ChatTemplate? {
    try builtIn(name, specialTokens: tokens(folder))
  }

  /// The built-in template of that name, with `specialTokens` by their names; nil where there is none.
  public static func builtIn(_ name: String, specialTokens: [String: String]) throws -> ChatTemplate? {
    guard let found = builtIn.first(where: { $0.name == name }) else { return nil }
    return try ChatTemplate(
      source: String(decoding: found.bytes, as: UTF8.self), name: name, specialTokens: specialTokens)
  }

  /// A template's own file, with the special tokens of the model in `folder`.
  ///
  /// Throws `notFound` where it is not there.
  public init(file: String, folder: String) throws {
    try self.init(source: Self.text(file), name: file, specialTokens: Self.tokens(folder))
  }
}
