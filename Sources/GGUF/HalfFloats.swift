// The loops below have no branches, so that the compiler vectorises them for any x86-64; `Float16` would call a library
// function for each value where the F16C instructions are not assumed.

/// The value of an IEEE 754 binary16's bits, exactly; NaN becomes a quiet one.
@inline(__always)
func float(half bits: UInt16) -> Float {
  let half = UInt32(bits)
  let magnitude = (half & 0x7fff) << 13
  // The exponent's bias is 15 there and 127 here; infinity and NaN need the 112 once more.
  let special: UInt32 = half & 0x7c00 == 0x7c00 ? 112 << 23 : 0
  let quiet: UInt32 = half & 0x7fff > 0x7c00 ? 1 << 22 : 0
  let normal = (magnitude &+ (112 << 23) &+ special) | quiet
  // A subnormal m·2^-24: put m under an exponent where its unit is 2^-24, then take the leading one off again.
  let subnormal = (Float(bitPattern: magnitude &+ (113 << 23)) - Float(bitPattern: 113 << 23)).bitPattern
  return Float(bitPattern: (half & 0x8000) << 16 | (half & 0x7c00 == 0 ? subnormal : normal))
}

/// The bits of the nearest IEEE 754 binary16, ties to even: from 65520 up infinity, of NaN the quiet one without payload.
@inline(__always)
func halfBits(_ value: Float) -> UInt16 {
  let sign = value.bitPattern >> 16 & 0x8000
  let magnitude = value.bitPattern & 0x7fff_ffff
  let rounded = (magnitude &+ 0xfff &+ (magnitude >> 13 & 1) &- (112 << 23)) >> 13
  // Below 2^-14 the unit is 2^-24, as that of a float32 from 0.5 to 1: adding 0.5 rounds there.
  let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- Float(0.5).bitPattern
  let finite = magnitude < 0x3880_0000 ? subnormal : rounded
  let special: UInt32 = magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00
  return UInt16(truncatingIfNeeded: sign | (magnitude < 0x4780_0000 ? finite : special))
}

func decodeHalves(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for index in 0..<count {
    target[index] = float(half: source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
  }
}

func encodeHalves(_ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ count: Int) {
  for index in 0..<count {
    target.storeBytes(of: halfBits(source[index]), toByteOffset: index &* 2, as: UInt16.self)
  }
}

func decodeBrainFloats(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for index in 0..<count {
    let bits = UInt32(source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
    target[index] = Float(bitPattern: bits << 16)
  }
}

/// Rounded to nearest, ties to even; NaN keeps the upper half of its payload and becomes quiet.
func encodeBrainFloats(_ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ count: Int) {
  for index in 0..<count {
    let bits = source[index].bitPattern
    let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
    let stored = bits & 0x7fff_ffff > 0x7f80_0000 ? bits >> 16 | 0x40 : rounded
    target.storeBytes(of: UInt16(truncatingIfNeeded: stored), toByteOffset: index &* 2, as: UInt16.self)
  }
}
