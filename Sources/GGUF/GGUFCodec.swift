/// From the stored values of ggml's types to float32 and back, bit for bit as ggml's reference code does it.
public enum GGUFCodec {
  /// Sets `values` from as many stored values; `blocks` may be misaligned. The lengths must agree.
  public static func decode(
    _ type: GGUFType, blocks: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(type.byteCount(of: values.count) == blocks.count, "stored bytes and values must agree")
    guard let source = blocks.baseAddress, let target = values.baseAddress else { return }
    let count = values.count / type.blockElements
    switch type {
    case .f32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: blocks.count)
    case .f16: decodeHalves(source, target, count)
    case .bf16: decodeBrainFloats(source, target, count)
    case .q4_0: decodeQ4_0(source, target, count)
    case .q4_1: decodeQ4_1(source, target, count)
    case .q8_0: decodeQ8_0(source, target, count)
    case .q4_K: decodeQ4_K(source, target, count)
    case .q5_K: decodeQ5_K(source, target, count)
    case .q6_K: decodeQ6_K(source, target, count)
    }
  }

  /// Sets `blocks`, which may be misaligned, to `values` as the type stores them, which must be one that `isEncodable`.
  /// The lengths must agree. Halves and brain floats are rounded to nearest, ties to even: what is too large becomes
  /// infinite, NaN stays NaN. A block that holds NaN or infinity becomes what ggml's code makes of it on x86-64.
  public static func encode(
    _ type: GGUFType, _ values: UnsafeBufferPointer<Float>, into blocks: UnsafeMutableRawBufferPointer
  ) {
    precondition(type.byteCount(of: values.count) == blocks.count, "values and stored bytes must agree")
    guard let source = values.baseAddress, let target = blocks.baseAddress else { return }
    let count = values.count / type.blockElements
    switch type {
    case .f32: target.copyMemory(from: source, byteCount: blocks.count)
    case .f16: encodeHalves(source, target, count)
    case .bf16: encodeBrainFloats(source, target, count)
    case .q8_0: encodeQ8_0(source, target, count)
    case .q4_0: encodeQ4_0(source, target, count)
    case .q4_1, .q4_K, .q5_K, .q6_K: preconditionFailure("\(type.name) is not encoded")
    }
  }
}
