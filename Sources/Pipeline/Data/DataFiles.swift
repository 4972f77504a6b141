import Core
import Files
import Hub
import Loading

/// Data as a user names it → the files that hold it: a file, a stream (`-`), a folder (its part for training), or a
/// dataset of the hub in the local cache, `owner/name` or `owner/name:split`. `remark` is told which files of several
/// were taken.
///
/// Throws `notFound`, with the places looked in.
func dataFiles(
  _ name: String, _ remark: (String) -> Void, cache: HubCache? = HubCache()
) throws -> [String] {
  if name == "-" { return [name] }
  if let status = try FileStatus(name) {
    return status.kind == .directory ? try part(of: DataFolder(name), .train, named: name, remark) : [name]
  }
  let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
  guard let dataset = HubName(.dataset, parts[0]), parts.count == 2 || parts[0].contains("/") else { return [name] }
  guard let split = parts.count == 2 ? DataFolder.Split(named: parts[1]) : .train else {
    throw SFTError(.usage, "\"\(parts[1])\" is no part of a dataset", advice: "Parts are train, validation and test")
  }
  guard let cache else {
    throw SFTError(.notFound, "there is no file \"\(name)\", and neither HF_HOME nor HOME is set")
  }
  guard let folder = try cache.snapshot(of: dataset, where: { _ in true }) else {
    throw SFTError(
      .notFound, "there is no file \"\(name)\", and no dataset of that name in \(cache.folder)",
      advice: "Fetch it with `sft fetch \(dataset.text) --dataset`")
  }
  return try part(of: DataFolder(folder), split, named: name, remark)
}

private func part(
  of folder: DataFolder, _ split: DataFolder.Split, named name: String, _ remark: (String) -> Void
) throws -> [String] {
  let files = try folder.files(split)
  let others = folder.splits.filter { $0 != split }.map(\.rawValue)
  let taken = folder.splits.isEmpty ? "" : "the part \(split.rawValue), "
  remark(
    "\(name): \(taken)\(counted(files.count, "file"))"
      + (others.isEmpty ? "." : "; there is \(others.joined(separator: " and ")), too."))
  return files
}
