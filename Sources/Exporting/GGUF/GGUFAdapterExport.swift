import Core
import Files
import GGUF
import Models
import Weights

/// Writes `adapter` as llama.cpp's LoRA file: a folder with `NAME.gguf`, to be given with `--lora` beside the base's own
/// file, and a `Modelfile` for Ollama that names `base`, the base's GGUF file or Ollama's name of it. A and B are in float32 or
/// in 16 bits; `stops` end an answer; `alternative` is the format advised where this one cannot say what is trained. `folder` is
/// created, or replaced, as a whole.
///
/// Throws `usage` for another `dtype`, and where the adapter trains more than linears, which such a file cannot say; `badData`,
/// naming what it is, for a base that llama.cpp cannot compute, and for a value that `dtype` cannot hold.
public func exportGGUFAdapter(
  _ adapter: Adapter, for decoder: Decoder, base: String, dtype: GGUFWeightType, name: String,
  orElse alternative: ExportFormat = .gguf, stops: [String] = [], to folder: String
) throws -> GGUFExportReport {
  guard [.f32, .f16, .bf16].contains(dtype) else {
    throw SFTError(
      .usage, "an adapter is not written in \(dtype.rawValue)", advice: "Give \(OptionName.dtype) f32, f16 or bf16")
  }
  if let end = adapter.ends.first {
    throw SFTError(
      .usage,
      "the adapter trains \(quoted(end.name)) beside linears, which a LoRA file for llama.cpp cannot say",
      advice:
        "\(alternative == .gguf ? "Merge it" : "Export it for PEFT"): \(OptionName.format) \(alternative.rawValue)")
  }
  let architecture = try GGUFArchitecture(decoder.configuration)
  let outputs = try adapterTensors(adapter, decoder, architecture, dtype)
  var metadata = ggufHeader(architecture, type: "adapter", name: name)
  metadata["general.file_type"] = .uint32(dtype.fileType)
  metadata["adapter.type"] = .string("lora")
  metadata["adapter.lora.alpha"] = .float32(adapter.configuration.alphaInGGUF)
  let file = ggufFileName(name)
  try writeDirectoryAtomically(folder) { temporary in
    try writeGGUF(metadata, outputs, to: temporary + "/" + file)
    try writeAtomically(
      Modelfile(base: base, adapter: "./" + file, stops: stops).text, to: temporary + "/" + Modelfile.name)
  }
  return GGUFExportReport(
    file: file, types: Dictionary(outputs.map { ($0.type.name, 1) }, uniquingKeysWith: +), halved: [], remarks: [])
}

extension LoRAConfiguration {
  /// What llama.cpp divides by the rank to scale by; rsLoRA's root is in it.
  var alphaInGGUF: Float { Float(rankStabilized ? alpha * Double(rank).squareRoot() : alpha) }
}

/// A, [r, in], and B, [out, r], of each adapted linear.
private func adapterTensors(
  _ adapter: Adapter, _ decoder: Decoder, _ architecture: GGUFArchitecture, _ dtype: GGUFWeightType
) throws -> [GGUFTensorOutput] {
  let rank = adapter.configuration.rank
  let names = Dictionary(
    decoder.configuration.expectedTensors.map { ($0.name, $0.nameInGGUF) }, uniquingKeysWith: { first, _ in first })
  return try decoder.linears.enumerated().flatMap { index, linear -> [GGUFTensorOutput] in
    guard let pair = adapter.pair(of: index) else { return [] }
    guard let name = names[linear.weightName] else {
      throw SFTError(.internalError, "the model has no tensor \(quoted(linear.weightName))")
    }
    let change =
      architecture.interleavedHeads(linear.kind, decoder.configuration).map { GGUFChange.interleave(heads: $0) }
      ?? .none
    func output(_ suffix: String, _ shape: [Int], _ offset: Int, _ change: GGUFChange) -> GGUFTensorOutput {
      let type = dtype.type(rowLength: shape[1], isHead: false)
      return GGUFTensorOutput(name + suffix, shape, type) { sink in
        let tensor = FloatTensor(
          viewing: UnsafePointer(adapter.parameters.pointer + offset), shape: shape, keptBy: adapter)
        try GGUFRows.write(tensor, change, as: type, name: pair.name + suffix, to: sink)
      }
    }
    return [
      output(".lora_a", [rank, pair.inputWidth], pair.aOffset, .none),
      output(".lora_b", [pair.outputWidth, rank], pair.bOffset, change),
    ]
  }
}
