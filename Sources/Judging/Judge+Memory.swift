import Core
import Files
import JSON

/// What was answered before.
extension Judge {
  private func path(_ body: String) -> String { "\(folder)/\(Digest(of: settings.endpoint + "\n" + body)).json" }

  /// nil where it was never asked, or the file is not what was written.
  func stored(_ body: String) -> JudgeChoice? {
    guard let value = try? parseJSONFile(path(body), limit: 16 << 20) else { return nil }
    return value["choice"]?.string.flatMap(JudgeChoice.init)
  }

  func store(_ choice: JudgeChoice, _ reply: String, _ body: String) throws {
    try createDirectory(folder)
    let value = JSONValue.object(
      JSONObject([
        ("endpoint", .string(settings.endpoint)), ("model", .string(settings.model)),
        ("choice", .string(choice.rawValue)), ("reply", .string(reply)),
      ]))
    try writeAtomically(value.serialized + "\n", to: path(body))
  }
}
