import Core
import Files
import Glibc

/// The local cache of what was downloaded from the Hugging Face hub, as its own library lays it out. Nothing is downloaded.
public struct HubCache: Sendable {
  public let folder: String

  /// `$HF_HUB_CACHE` (once called `$HUGGINGFACE_HUB_CACHE`), else `$HF_HOME/hub`, else `$XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`; nil
  /// where none of these is set.
  public init?(environment: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) {
    func place(_ variable: String, _ rest: String) -> String? {
      environment(variable).flatMap { $0.isEmpty ? nil : expanded($0, environment) + rest }
    }
    guard
      let folder = place("HF_HUB_CACHE", "") ?? place("HUGGINGFACE_HUB_CACHE", "") ?? place("HF_HOME", "/hub") ?? place(
        "XDG_CACHE_HOME", "/huggingface/hub")
        ?? place("HOME", "/.cache/huggingface/hub")
    else { return nil }
    self.folder = folder
  }

  /// Where a repository is, if it is there.
  public func path(of name: HubName) -> String { folder + "/" + name.folder }

  /// The snapshot that `refs/main` names, else the newest, of those that are `usable`; nil where there is none.
  ///
  /// Throws `badData` where the reference is no snapshot's name.
  public func snapshot(of name: HubName, where usable: (_ folder: String) throws -> Bool) throws -> String? {
    let snapshots = path(of: name) + "/snapshots"
    let reference = path(of: name) + "/refs/main"
    if try fileExists(reference) {
      let hash =
        String(decoding: try readFile(reference, limit: 4096), as: UTF8.self)
        .split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
      guard !hash.isEmpty, hash.utf8.allSatisfy({ isHexadecimal($0) }) else {
        throw SFTError(.badData, "is not the name of a snapshot", file: reference)
      }
      let folder = snapshots + "/" + hash
      if try directoryExists(folder), try usable(folder) { return folder }
    }
    guard try directoryExists(snapshots) else { return nil }
    let found = try directoryEntries(snapshots).map { snapshots + "/" + $0 }
      .filter { try directoryExists($0) && usable($0) }
      .map { (path: $0, modified: try FileStatus($0)?.modified ?? 0) }
    return found.max { ($0.modified, $0.path) < ($1.modified, $1.path) }?.path
  }

  private func isHexadecimal(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (97...102).contains(byte) || (65...70).contains(byte)
  }
}

/// A path of a variable, as Python's library takes it: `~` at its beginning is the home folder, and `$NAME` a variable.
func expanded(_ path: String, _ environment: (String) -> String?) -> String {
  var (result, rest) = ("", path[...])
  if rest == "~" || rest.hasPrefix("~/"), let home = environment("HOME") {
    result = home
    rest = rest.dropFirst()
  }
  while let dollar = rest.firstIndex(of: "$") {
    result += rest[..<dollar]
    rest = rest[dollar...].dropFirst()
    let isBraced = rest.first == "{"
    let name = (isBraced ? rest.dropFirst() : rest).prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    let end = name.endIndex
    guard !name.isEmpty, !isBraced || (end < rest.endIndex && rest[end] == "}"), let value = environment(String(name))
    else {
      result += "$"
      continue
    }
    result += value
    rest = isBraced ? rest[end...].dropFirst() : rest[end...]
  }
  return result + rest
}
