import Core
import Files
import Glibc

/// Finds a model's folder from what a user typed.
public enum ModelFolder {
  /// `nameOrPath` as it is where that is a folder with a `config.json`; else, where it is a name such as `gpt2` or
  /// `org/name`, its snapshot in the local Hugging Face cache (`$HF_HUB_CACHE`, else `$HF_HOME/hub`, else
  /// `~/.cache/huggingface/hub`). Nothing is downloaded.
  ///
  /// Throws `notFound`, naming the places looked in.
  public static func resolve(_ nameOrPath: String) throws -> String {
    try resolve(nameOrPath) { name in getenv(name).map { String(cString: $0) } }
  }

  /// The same in a given environment.
  package static func resolve(_ nameOrPath: String, environment: (String) -> String?) throws -> String {
    guard !nameOrPath.isEmpty else { throw SFTError(.usage, "the model's name is empty") }
    if try fileExists(nameOrPath + "/config.json") { return nameOrPath }
    let hub = isModelName(nameOrPath) ? hubFolder(environment) : nil
    let cached = hub.map { $0 + "/models--" + nameOrPath.split(separator: "/").joined(separator: "--") }
    if let cached, let snapshot = try snapshot(cached) { return snapshot }
    if let status = try FileStatus(nameOrPath) { throw noModel(nameOrPath, status.kind) }
    let folder = "there is no folder \(quoted(nameOrPath))"
    guard isModelName(nameOrPath) else {
      throw SFTError(
        .notFound, "cannot find the model: \(folder), and it is not a name such as gpt2 or org/name",
        advice: "Give --model a folder with config.json and model.safetensors: where it is now, if it was moved")
    }
    guard let cached else {
      throw SFTError(.notFound, "cannot find the model: \(folder), and neither HF_HOME nor HOME is set")
    }
    throw SFTError(
      .notFound, "cannot find the model: \(folder), and no snapshot with a config.json in \(cached)",
      advice: "Download it into the cache, or give --model a folder with config.json and model.safetensors")
  }

  /// For what is there and has no `config.json` in it.
  private static func noModel(_ path: String, _ kind: FileStatus.Kind) -> SFTError {
    guard kind == .directory else {
      return SFTError(
        .notFound, "is not a folder, and a model is one, with config.json and model.safetensors in it", file: path,
        advice: isWeights(path) ? "Give the folder that it is in: \(parentPath(path))" : "Give a model's folder")
    }
    return SFTError(
      .notFound, "the folder has no config.json, so it is not a model's", file: path,
      advice: "Give a folder with config.json and model.safetensors")
  }

  private static func isWeights(_ path: String) -> Bool {
    [".safetensors", ".bin", ".json"].contains { path.hasSuffix($0) }
  }

  /// One or two parts of letters, digits, `-`, `_` and `.`, as the hub allows them: none starts with a dot or a dash, or
  /// holds `..` or `--`.
  private static func isModelName(_ name: String) -> Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), name.utf8.count <= 200 else { return false }
    return parts.allSatisfy { part in
      guard let first = part.first, first != ".", first != "-" else { return false }
      return !hasPair(part, ".") && !hasPair(part, "-")
        && part.unicodeScalars.allSatisfy {
          $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0))
        }
    }
  }

  private static func hasPair(_ text: Substring, _ character: Character) -> Bool {
    zip(text, text.dropFirst()).contains { $0 == character && $1 == character }
  }

  private static func hubFolder(_ environment: (String) -> String?) -> String? {
    func folder(_ variable: String, _ rest: String) -> String? {
      environment(variable).flatMap { $0.isEmpty ? nil : $0 + rest }
    }
    return folder("HF_HUB_CACHE", "") ?? folder("HF_HOME", "/hub") ?? folder("XDG_CACHE_HOME", "/huggingface/hub")
      ?? folder("HOME", "/.cache/huggingface/hub")
  }

  /// The snapshot that `refs/main` names, else the newest that has a `config.json`; nil where there is none.
  private static func snapshot(_ cached: String) throws -> String? {
    let snapshots = cached + "/snapshots"
    let reference = cached + "/refs/main"
    if try fileExists(reference) {
      let hash =
        String(decoding: try readFile(reference, limit: 4096), as: UTF8.self)
        .split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
      guard !hash.isEmpty, hash.utf8.allSatisfy({ isHexadecimal($0) }) else {
        throw SFTError(.badData, "is not the name of a snapshot", file: reference)
      }
      let folder = snapshots + "/" + hash
      if try fileExists(folder + "/config.json") { return folder }
    }
    guard try directoryExists(snapshots) else { return nil }
    let found = try directoryEntries(snapshots).map { snapshots + "/" + $0 }
      .filter { try fileExists($0 + "/config.json") }
      .map { (path: $0, modified: try FileStatus($0)?.modified ?? 0) }
    return found.max { ($0.modified, $0.path) < ($1.modified, $1.path) }?.path
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (97...102).contains(byte) || (65...70).contains(byte)
  }
}
