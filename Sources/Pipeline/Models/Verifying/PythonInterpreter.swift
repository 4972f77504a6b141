import Core
import Files
import Glibc
import JSON

/// A Python that compares what another tool computes with what sft does, by one of the scripts in this program.
struct PythonInterpreter {
  /// As the user named it.
  let name: String
  private let path: String

  /// A path, or a name that is looked for in `$PATH`. Links are not followed: by where it lies an interpreter knows its packages.
  ///
  /// Throws `notFound` where there is none.
  init(_ name: String) throws {
    self.name = name
    let isRunnable = { (path: String) in try FileStatus(path)?.kind == .file && access(path, X_OK) == 0 }
    if name.contains("/") {
      guard try isRunnable(name) else { throw SFTError(.notFound, "is not a program that can be run", file: name) }
      path = name
      return
    }
    let folders = (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(separator: ":")
    guard let found = folders.map({ "\($0)/\(name)" }).first(where: { (try? isRunnable($0)) ?? false }) else {
      throw SFTError(
        .notFound, "there is no program \(quoted(name)) in $PATH",
        advice: "Give \(OptionName.verify) a Python, such as python3 or .venv/bin/python")
    }
    path = found
  }

  /// Runs a script, with `logits` open as descriptor 3, and returns its answer.
  ///
  /// Throws `inputOutput` where the script fails or takes longer than `timeLimit` seconds, and `badData` where what it answers
  /// is not JSON.
  func run(_ script: String, _ request: JSONValue, logits: NamelessFile? = nil, timeLimit: Double) throws -> JSONValue {
    let process = PythonProcess(
      path: path, arguments: ["-c", script], input: request.serialized + "\n", descriptor: logits?.descriptor,
      timeLimit: timeLimit)
    let ending = try withExtendedLifetime(logits) { try process.run() }
    guard let code = ending.code else {
      throw SFTError(.inputOutput, "\(name) gave no answer in \(counted(Int(timeLimit.rounded(.up)), "second"))")
    }
    guard ending.output.count <= PythonProcess.longestOutput else {
      throw SFTError(.badData, "\(name) answers with more than \(byteCount(PythonProcess.longestOutput))")
    }
    guard code == 0 else {
      let words = Self.lastLines(of: ending.errors)
      throw SFTError(
        .inputOutput, "\(name) ended with exit code \(code)" + (words.isEmpty ? ", saying nothing" : ": " + words))
    }
    do {
      return try ending.output.withUnsafeBytes { try parseJSON($0, file: "its answer") }
    } catch let error as SFTError {
      throw SFTError(.badData, "\(name) answers with what is not JSON: \(error.message)")
    }
  }

  /// The last lines of a program's complaints, of which the very last says what the matter was; without a full stop.
  private static func lastLines(of errors: [UInt8]) -> String {
    let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
      .map { printable($0.trimmingSpaces()) }.filter { !$0.isEmpty }
    let shown = lines.suffix(3).map { $0.count > 300 ? $0.prefix(299) + "…" : $0 }.joined(separator: "; ")
    return shown.hasSuffix(".") ? String(shown.dropLast()) : shown
  }
}

extension Substring {
  fileprivate func trimmingSpaces() -> String {
    let isSpace = { (character: Character) in character == " " || character == "\t" }
    let rest = drop(while: isSpace)
    return String(rest.prefix(rest.count - rest.reversed().prefix(while: isSpace).count))
  }
}
