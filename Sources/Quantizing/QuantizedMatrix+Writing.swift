import Kernels
import Weights

extension QuantizedMatrix {
  /// The names of a quantised linear's tensors in bitsandbytes' serialisation, all of them the weight's own name, such as
  /// `transformer.h.0.attn.c_attn.weight`, and a suffix.
  enum StoredTensor: String, CaseIterable {
    case absmax = ".absmax"
    case table = ".quant_map"
    case nestedAbsmax = ".nested_absmax"
    case nestedTable = ".nested_quant_map"
    /// The settings, as the bytes of a JSON object; `nf4` or `fp4` follows.
    case state = ".quant_state.bitsandbytes__"
  }

  /// The tensors that bitsandbytes' `Linear4bit` is saved as, for `writeSafetensors`. `name` is the weight's own name. They
  /// hold on to this matrix.
  public func tensors(name: String) -> [TensorOutput] {
    func named(_ tensor: StoredTensor) -> String { name + tensor.rawValue }
    func bytes(_ name: String, _ shape: [Int], _ bytes: Bytes) -> TensorOutput {
      if bytes.isView { return TensorOutput(name, .u8, shape, mapped: { bytes.buffer }) }
      return TensorOutput(name, .u8, shape) { sink in try withExtendedLifetime(bytes) { try sink(bytes.buffer) } }
    }
    let state = Array(stateJSON.utf8)
    var tensors = [
      bytes(name, [packed.count, 1], packed),
      TensorOutput(named(.table), [16], settings.kind.values),
      TensorOutput(named(.state) + settings.kind.rawValue, .u8, [state.count]) { sink in
        try state.withUnsafeBytes { try sink($0) }
      },
    ]
    switch statistics {
    case .plain(let absmax): tensors.append(TensorOutput(named(.absmax), absmax))
    case .nested(let nested):
      tensors.append(bytes(named(.absmax), [nested.codes.count], nested.codes))
      tensors.append(TensorOutput(named(.nestedAbsmax), nested.absmax))
      tensors.append(TensorOutput(named(.nestedTable), nested.table))
    }
    return tensors
  }

  /// What is not a tensor, as Python's `json.dumps` writes it, so that the file is the one that bitsandbytes writes. The
  /// offset's double is its float32 exactly.
  private var stateJSON: String {
    var members = [
      "\"quant_type\": \"\(settings.kind.rawValue)\"", "\"blocksize\": \(Self.blockSize)", "\"dtype\": \"float32\"",
      "\"shape\": [\(outputs), \(inputs)]",
    ]
    if case .nested(let nested) = statistics {
      members += [
        "\"nested_blocksize\": \(Self.nestedBlockSize)", "\"nested_dtype\": \"float32\"",
        "\"nested_offset\": \(Double(nested.offset))",
      ]
    }
    return "{\(members.joined(separator: ", "))}"
  }
}
