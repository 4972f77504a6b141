import Core
import Files

extension PromptTemplate {
  /// A template file is at most this long.
  public static let sizeLimit = 1 << 20

  /// The files of prompts/, built into the program.
  private static let shipped: [(name: String, bytes: [UInt8])] = [
    ("alpaca", PackageResources.alpaca_txt), ("short", PackageResources.short_txt),
    ("chat", PackageResources.chat_txt), ("qa", PackageResources.qa_txt),
  ]

  /// Names of the shipped templates; the first is the default.
  public static var shippedNames: [String] { shipped.map(\.name) }

  /// The shipped template of that name, else the file at that path; so `./alpaca` is always a file.
  ///
  /// Throws `notFound` with the known names, those of chat templates too, when it is neither, and `badData` when the
  /// file is no template.
  public static func named(_ nameOrPath: String) throws -> PromptTemplate {
    if let found = shipped.first(where: { $0.name == nameOrPath }) {
      return try PromptTemplate(source: String(decoding: found.bytes, as: UTF8.self), name: nameOrPath)
    }
    guard let status = try FileStatus(nameOrPath) else {
      throw SFTError(
        .notFound, "there is no template and no file called \"\(nameOrPath)\"",
        advice:
          "Give the path of a template file, or one of \(shippedNames.joined(separator: ", ")); for conversations "
          + "the model's own as model, or one of \(ChatTemplate.builtInNames.joined(separator: ", "))")
    }
    guard status.size <= sizeLimit else {
      throw SFTError(
        .badData, "is \(byteCount(status.size)) long, and a template at most \(byteCount(sizeLimit))", file: nameOrPath)
    }
    let bytes = try readFile(nameOrPath, limit: sizeLimit)
    guard let source = String(validating: bytes, as: UTF8.self) else {
      let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
      let faulty = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }
      throw SFTError(.badData, "is not valid UTF-8", file: nameOrPath, line: faulty.map { $0 + 1 })
    }
    return try PromptTemplate(source: source, name: nameOrPath)
  }
}
