// Encoders of the types of 32 values a block. Ordinary blocks take a loop that the compiler vectorises; those with NaN or
// infinity, or a scale so small that its inverse is infinite, go value by value.

/// The largest magnitude of 32 values as bits, which are ordered as the values are, with infinity and NaN above them.
@inline(__always)
private func largestMagnitude(_ values: UnsafePointer<Float>) -> UInt32 {
  var largest: Int32 = 0
  for j in 0..<32 { largest = max(largest, Int32(bitPattern: values[j].bitPattern & 0x7fff_ffff)) }
  return UInt32(bitPattern: largest)
}

/// What C's conversion of a float to an 8-bit integer gives on x86-64 where it is out of range: the lowest byte of the
/// 32-bit integer, which is 0 for all that does not fit that.
private func truncatedByte(_ value: Float) -> Int8 {
  abs(value) < 0x1p31 ? Int8(truncatingIfNeeded: Int32(value)) : 0
}

/// d = max|x| / 127 as binary16, then x / d rounded to the nearest, halves away from zero.
func encodeQ8_0(_ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ count: Int) {
  for block in 0..<count {
    let values = source + block &* 32
    let stored = target + block &* 34
    let quants = (stored + 2).assumingMemoryBound(to: UInt8.self)
    let largest = largestMagnitude(values)
    let scale = Float(bitPattern: largest) / 127
    let inverse = scale == 0 ? 0 : 1 / scale
    guard largest < Float.infinity.bitPattern, inverse.isFinite else {
      encodeUnusualQ8_0(values, stored)
      continue
    }
    stored.storeBytes(of: halfBits(scale), as: UInt16.self)
    // Added to this, a number of at most 2^22 is rounded to an integer, ties to even, that stands in the lowest bits.
    let rounder: Float = 0x1.8p23
    for j in 0..<32 {
      let value = values[j] * inverse
      let shifted = value + rounder
      let rest = value - (shifted - rounder)
      // A half that went to the even side, which is towards zero, goes away from it.
      let up: UInt32 = rest == 0.5 ? (value > 0 ? 1 : 0) : 0
      let down: UInt32 = rest == -0.5 ? (value < 0 ? 1 : 0) : 0
      quants[j] = UInt8(truncatingIfNeeded: shifted.bitPattern &+ up &- down)
    }
  }
}

private func encodeUnusualQ8_0(_ values: UnsafePointer<Float>, _ stored: UnsafeMutableRawPointer) {
  var largest: Float = 0
  // After a NaN the search starts anew.
  for j in 0..<32 { largest = largest > abs(values[j]) ? largest : abs(values[j]) }
  let scale = largest / 127
  let inverse = scale == 0 ? 0 : 1 / scale
  stored.storeBytes(of: halfBits(scale), as: UInt16.self)
  for j in 0..<32 {
    let rounded = (values[j] * inverse).rounded(.toNearestOrAwayFromZero)
    stored.storeBytes(of: truncatedByte(rounded), toByteOffset: 2 &+ j, as: Int8.self)
  }
}

/// d = x / -8 of the x of the largest magnitude (the first of them) as binary16, then x / d + 8 rounded, at most 15.
func encodeQ4_0(_ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ count: Int) {
  for block in 0..<count {
    let values = source + block &* 32
    let stored = target + block &* 18
    let quants = (stored + 2).assumingMemoryBound(to: UInt8.self)
    let largest = largestMagnitude(values)
    var scale: Float = -0.0
    if largest > 0, largest < Float.infinity.bitPattern {
      var place = 0
      while values[place].bitPattern & 0x7fff_ffff != largest { place &+= 1 }
      scale = values[place] / -8
    }
    let inverse = scale == 0 ? 0 : 1 / scale
    guard largest < Float.infinity.bitPattern, inverse.isFinite else {
      encodeUnusualQ4_0(values, stored)
      continue
    }
    stored.storeBytes(of: halfBits(scale), as: UInt16.self)
    // From 0.5 to 16.5 each, of which the integer part is wanted.
    for j in 0..<16 {
      let low = integerPart(values[j] * inverse + 8.5)
      let high = integerPart(values[16 &+ j] * inverse + 8.5)
      quants[j] = UInt8(truncatingIfNeeded: min(low, 15) | min(high, 15) << 4)
    }
  }
}

/// Of a number from 0 to 2^22: rounded by an addition, then one less where that went up.
@inline(__always)
private func integerPart(_ value: Float) -> Int32 {
  let shifted = value + 0x1p23
  let rounded = Int32(bitPattern: shifted.bitPattern & 0xff)
  return shifted - 0x1p23 > value ? rounded &- 1 : rounded
}

private func encodeUnusualQ4_0(_ values: UnsafePointer<Float>, _ stored: UnsafeMutableRawPointer) {
  var (largest, extreme): (Float, Float) = (0, 0)
  for j in 0..<32 where largest < abs(values[j]) { (largest, extreme) = (abs(values[j]), values[j]) }
  let scale = extreme / -8
  let inverse = scale == 0 ? 0 : 1 / scale
  stored.storeBytes(of: halfBits(scale), as: UInt16.self)
  func quant(_ value: Float) -> UInt8 { UInt8(bitPattern: min(15, truncatedByte(value * inverse + 8.5))) }
  for j in 0..<16 {
    stored.storeBytes(of: quant(values[j]) | quant(values[16 &+ j]) << 4, toByteOffset: 2 &+ j, as: UInt8.self)
  }
}
