import Core
import Exporting
import Files
import Tokenizing

/// Writes what other tools load.
///
/// Throws `cannotCreate` where `folder` holds something already, unless it is an export and `replacing`.
public func export(_ session: InferenceSession, format: ExportFormat, to folder: String, replacing: Bool) throws {
  try checkTarget(folder, replacing: replacing, base: session.base.folder)
  try write(session, format: format, to: folder)
}

/// Throws `cannotCreate` where `folder` is a file or holds something already. With `replacing` it may hold an export, known
/// by its files; never the base, nor a folder with other folders in it, such as the one that sft runs in.
func checkTarget(_ folder: String, replacing: Bool, base: String) throws {
  guard let status = FileStatus(folder) else { return }
  guard status.kind == .directory else { throw SFTError(.cannotCreate, "is in the way of a folder", file: folder) }
  let names = try directoryEntries(folder)
  if names.isEmpty { return }
  guard replacing else {
    throw SFTError(
      .cannotCreate, "the folder is not empty", file: folder,
      advice: "Give another --to, or replace an earlier export with --overwrite")
  }
  let isExport = !Set(names).isDisjoint(with: ["adapter_config.json", "model.safetensors"])
  let hasFolders = names.contains { FileStatus(folder + "/" + $0)?.kind != .file }
  guard isExport, !hasFolders, let own = canonicalPath(folder), own != canonicalPath(base), own != canonicalPath(".")
  else { throw SFTError(.cannotCreate, "is not an earlier export, so it is not replaced", file: folder) }
}

private func write(_ session: InferenceSession, format: ExportFormat, to folder: String) throws {
  let base = session.base
  let tokenizerFiles = Tokenizer.files(in: base.folder).map { base.folder + "/" + $0 }
  switch format {
  case .peft:
    guard let adapter = session.adapter else {
      throw SFTError(
        .usage, "there is no adapter to export", advice: "Train a run first, or give --adapter DIR")
    }
    try exportAdapter(
      adapter, for: base.decoder, baseModel: base.reference, baseDigest: try base.digest(),
      quantization: base.quantization?.description,
      tokenizerFiles: tokenizerFiles, to: folder)
  case .merged:
    guard base.checkpoint.quantizedNames.isEmpty else {
      throw SFTError(
        .usage, "the model is stored in 4 bits, so nothing can be merged into it", file: base.folder,
        advice: "Give --model the folder that it was quantised from")
    }
    try exportMerged(
      base.checkpoint, base.decoder, adapter: session.adapter, tokenizerFiles: tokenizerFiles, to: folder,
      threads: session.pass.compute.threads)
  }
}
