import Core
import Files
import GGUF
import Glibc
import Hub

/// Finds a model's folder from what a user typed.
public enum ModelFolder {
  /// `nameOrPath` as it is where that is a folder with a `config.json`, or a GGUF file; else, where it is a name such as `gpt2` or
  /// `org/name`, its snapshot in the local Hugging Face cache (`$HF_HUB_CACHE`, else `$HF_HOME/hub`, else
  /// `~/.cache/huggingface/hub`). Nothing is downloaded.
  ///
  /// Throws `notFound`, naming the places looked in.
  public static func resolve(_ nameOrPath: String) throws -> String {
    try resolve(nameOrPath) { name in getenv(name).map { String(cString: $0) } }
  }

  /// `resolve(_:)` with `environment` in the place of the process's own variables.
  package static func resolve(_ nameOrPath: String, environment: (String) -> String?) throws -> String {
    guard !nameOrPath.isEmpty else { throw SFTError(.usage, "the model's name is empty") }
    if try fileExists(nameOrPath + "/config.json") || GGUFFile.isOne(nameOrPath) { return nameOrPath }
    let name = HubName(.model, nameOrPath)
    let cache = HubCache(environment: environment)
    if let name, let found = try cache?.snapshot(of: name, where: { try fileExists($0 + "/config.json") }) {
      return found
    }
    if let status = try FileStatus(nameOrPath) { throw noModel(nameOrPath, status.kind) }
    guard !nameOrPath.lowercased().hasSuffix(".gguf") else {
      throw SFTError(.notFound, "cannot find the model: there is no file \(quoted(nameOrPath))")
    }
    let folder = "there is no folder \(quoted(nameOrPath))"
    guard let name else {
      throw SFTError(
        .notFound, "cannot find the model: \(folder), and it is not a name such as gpt2 or org/name",
        advice:
          "Give \(OptionName.model) a folder with config.json and model.safetensors: where it is now, if it was moved")
    }
    guard let cache else {
      throw SFTError(.notFound, "cannot find the model: \(folder), and neither HF_HOME nor HOME is set")
    }
    throw SFTError(
      .notFound, "cannot find the model: \(folder), and no snapshot with a config.json in \(cache.path(of: name))",
      advice:
        "Fetch it into the cache with `sft fetch \(name.text)`, or give \(OptionName.model) a folder with config.json and model.safetensors"
    )
  }

  /// For what is there and has no `config.json` in it.
  private static func noModel(_ path: String, _ kind: FileStatus.Kind) -> SFTError {
    guard kind == .directory else {
      return SFTError(
        .notFound, "is neither a folder with config.json and model.safetensors in it nor a GGUF file", file: path,
        advice: isWeights(path) ? "Give the folder that it is in: \(parentPath(path))" : "Give a model's folder")
    }
    let file = try? directoryEntries(path).filter { $0.lowercased().hasSuffix(".gguf") }.min()
    return SFTError(
      .notFound, "the folder has no config.json, so it is not a model's", file: path,
      advice: file.map { "To take a GGUF file in it, give the file: \(OptionName.model) \(path)/\($0)" }
        ?? "Give a folder with config.json and model.safetensors")
  }

  private static func isWeights(_ path: String) -> Bool {
    [".safetensors", ".bin", ".json"].contains { path.hasSuffix($0) }
  }
}
