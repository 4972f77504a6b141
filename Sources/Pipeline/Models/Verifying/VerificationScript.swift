import Exporting
import JSON

/// What loads one of the formats, and computes logits with it.
struct VerificationScript {
  /// What Python is to run.
  let text: String
  /// Pairs of a module and of what pip installs it by.
  let packages: JSONValue

  /// `quantized`: whether the model's folder has weights in bitsandbytes' 4 bits; `onGGUF`: whether the model is a GGUF file.
  init(_ format: ExportFormat, quantized: Bool, onGGUF: Bool) {
    var modules = [("numpy", "numpy")]
    let script: [UInt8]
    switch format {
    case .peft, .merged, .model:
      modules += [("torch", "torch"), ("transformers", "transformers")]
      if format == .peft { modules.append(("peft", "peft")) }
      if onGGUF { modules.append(("gguf", "gguf")) }
      if quantized { modules += [("bitsandbytes", "bitsandbytes"), ("accelerate", "accelerate")] }
      script = PackageResources.verify_transformers_py
    case .gguf, .ggufLoRA:
      modules.append(("llama_cpp", "llama-cpp-python"))
      script = PackageResources.verify_llama_py
    case .onnx:
      modules.append(("onnxruntime", "onnxruntime"))
      script = PackageResources.verify_onnx_py
    }
    packages = .array(modules.map { .array([.string($0.0), .string($0.1)]) })
    text = String(decoding: PackageResources.verify_common_py + script, as: UTF8.self)
  }
}
