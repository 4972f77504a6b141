/// What Ollama makes a model of. How conversations are laid out it takes from the GGUF file's chat template, so nothing is said
/// of that here.
struct Modelfile {
  static let name = "Modelfile"

  /// A file, or Ollama's name of a model.
  var base: String
  /// A LoRA file.
  var adapter: String?
  /// Texts that end an answer.
  var stops: [String] = []

  var text: String {
    var lines = ["FROM \(base)"]
    if let adapter { lines.append("ADAPTER \(adapter)") }
    lines += stops.compactMap(Self.quoted).map { "PARAMETER stop \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Ollama knows no escapes: a text with quotes stands in three of them. nil for what cannot be written.
  private static func quoted(_ text: String) -> String? {
    let scalars = text.unicodeScalars
    guard !scalars.contains("\""), !scalars.contains("\n"), !scalars.contains("\r") else {
      guard !scalars.contains("\n"), !text.contains("\"\"\""), text.last != "\"" else { return nil }
      return "\"\"\"\(text)\"\"\""
    }
    return "\"\(text)\""
  }
}
