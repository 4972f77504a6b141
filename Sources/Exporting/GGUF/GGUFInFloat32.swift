import GGUF

/// Writes the GGUF file `source` to `path` once more, its keys as they are and every tensor decoded to float32. A piece of a tensor
/// is in memory at a time.
///
/// Throws what reading and writing throw.
public func writeGGUFInFloat32(_ source: String, to path: String) throws {
  let file = try GGUFFile(source)
  var metadata = file.metadata
  metadata["general.file_type"] = .uint32(GGUFWeightType.f32.fileType)
  let outputs = file.tensors.map { info in
    GGUFTensorOutput(info.name, info.shape, .f32) { sink in try file.forEachPiece(info, sink) }
  }
  try writeGGUF(metadata, outputs, to: path)
}
