import Core
import Exporting
import Files
import Tokenizing

/// Writes what other tools load.
///
/// Throws `cannotCreate` where `folder` holds something already, unless `replacing`.
public func export(_ session: InferenceSession, format: ExportFormat, to folder: String, replacing: Bool) throws {
  try checkTarget(folder, replacing: replacing)
  try write(session, format: format, to: folder)
}

/// Throws `cannotCreate` where `folder` is a file, or holds something already, unless `replacing`.
func checkTarget(_ folder: String, replacing: Bool) throws {
  if let status = FileStatus(folder) {
    guard status.kind == .directory else { throw SFTError(.cannotCreate, "is in the way of a folder", file: folder) }
    guard try replacing || directoryEntries(folder).isEmpty else {
      throw SFTError(
        .cannotCreate, "the folder is not empty", file: folder, advice: "Give another --to, or replace it with --force")
    }
  }
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
