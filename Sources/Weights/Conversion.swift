/// Sets `values` from as many stored little-endian elements; `stored` may be misaligned. F16 and BF16 are exact, NaN
/// payloads and signs included; F64 is rounded to nearest, ties to even.
///
/// The dtype must be one of the four that `TensorType.isReadableAsFloat` names, and the lengths must agree.
func convertToFloat(
  _ stored: UnsafeRawBufferPointer, _ dtype: TensorType, _ values: UnsafeMutableBufferPointer<Float>
) {
  precondition(stored.count == values.count * dtype.size)
  guard let source = stored.baseAddress, let target = values.baseAddress else { return }
  switch dtype {
  case .f32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: stored.count)
  case .f16: convertHalf(source, target, values.count)
  case .bf16: convertBrainFloat(source, target, values.count)
  case .f64: convertDouble(source, target, values.count)
  default: preconditionFailure("\(dtype.rawValue) cannot be read as float32")
  }
}

// The loops below have no branches, so that the compiler vectorises them for any x86-64; `Float16` would call a library
// function for each element where the F16C instructions are not assumed.

private func convertHalf(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for index in 0..<count {
    let half = UInt32(source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
    target[index] = Float(bitPattern: floatBits(half: half))
  }
}

/// The float32 bits of an IEEE 754 binary16 value: exact, subnormals, infinities and NaN payloads included.
@inline(__always)
private func floatBits(half: UInt32) -> UInt32 {
  let sign = (half & 0x8000) << 16
  let magnitude = (half & 0x7fff) << 13
  // The exponent's bias is 15 there and 127 here; infinity and NaN need the 112 once more.
  let special: UInt32 = half & 0x7c00 == 0x7c00 ? 112 << 23 : 0
  let normal = magnitude &+ (112 << 23) &+ special
  // A subnormal m·2^-24: put m under an exponent where its unit is 2^-24, then take the leading one off again.
  let subnormal = (Float(bitPattern: magnitude &+ (113 << 23)) - Float(bitPattern: 113 << 23)).bitPattern
  return sign | (half & 0x7c00 == 0 ? subnormal : normal)
}

private func convertBrainFloat(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for index in 0..<count {
    let bits = UInt32(source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
    target[index] = Float(bitPattern: bits << 16)
  }
}

/// `values` as BF16 elements, rounded to nearest, ties to even; NaN stays NaN.
func roundToBrainFloat(_ values: UnsafeBufferPointer<Float>) -> [UInt16] {
  values.map { value in
    let bits = value.bitPattern
    if value.isNaN { return (UInt16(truncatingIfNeeded: bits >> 16) | 0x40).littleEndian }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16).littleEndian
  }
}

/// `values` as F16 elements, rounded to nearest, ties to even: what is too large becomes infinite, NaN stays NaN.
func roundToHalf(_ values: UnsafeBufferPointer<Float>) -> [UInt16] {
  values.map { Float16($0).bitPattern.littleEndian }
}

private func convertDouble(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for index in 0..<count {
    target[index] = Float(source.loadUnaligned(fromByteOffset: index &* 8, as: Double.self))
  }
}
