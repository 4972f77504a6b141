// The K types: 256 values a block, in groups with scales of their own, which are scaled by d (and dmin) in binary16.

/// Scale and minimum, 6 bits each, of one of the eight groups of a Q4_K or Q5_K block: 12 bytes hold the lower 6 bits of
/// groups 0 to 3's scales, those of their minimums, and the lower 4 bits of the other groups'; the upper 2 bits of these
/// are above the former.
@inline(__always)
private func scaleAndMinimum(_ group: Int, _ packed: UnsafeRawPointer) -> (scale: Float, minimum: Float) {
  func byte(_ index: Int) -> UInt8 { packed.load(fromByteOffset: index, as: UInt8.self) }
  if group < 4 { return (Float(byte(group) & 63), Float(byte(group &+ 4) & 63)) }
  let low = byte(group &+ 4)
  return (
    Float(low & 15 | (byte(group &- 4) & 0xc0) >> 2), Float(low >> 4 | (byte(group) & 0xc0) >> 2)
  )
}

/// d, dmin, 12 bytes of scales, 128 bytes: q · (d · scale) - dmin · minimum, in groups of 32. Of each 32 bytes the lower
/// halves are one group and the upper halves the next.
func decodeQ4_K(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 144
    let d = float(half: stored.loadUnaligned(as: UInt16.self))
    let dmin = float(half: stored.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    for pair in 0..<4 {
      let first = scaleAndMinimum(2 &* pair, stored + 4)
      let second = scaleAndMinimum(2 &* pair &+ 1, stored + 4)
      let (scale1, minimum1) = (d * first.scale, dmin * first.minimum)
      let (scale2, minimum2) = (d * second.scale, dmin * second.minimum)
      let quants = stored.loadUnaligned(fromByteOffset: 16 &+ 32 &* pair, as: SIMD32<UInt8>.self)
      let values = target + (block &* 256 &+ 64 &* pair)
      for l in 0..<32 {
        let both = Int32(quants[l])
        values[l] = scale1 * Float(both & 15) - minimum1
        values[32 &+ l] = scale2 * Float(both >> 4) - minimum2
      }
    }
  }
}

/// d, dmin, 12 bytes of scales, 32 bytes of the quants' fifth bits, 128 bytes as in Q4_K. Bit g of byte l is that of value
/// l of group g.
func decodeQ5_K(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 176
    let d = float(half: stored.loadUnaligned(as: UInt16.self))
    let dmin = float(half: stored.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    let fifths = stored.loadUnaligned(fromByteOffset: 16, as: SIMD32<UInt8>.self)
    for pair in 0..<4 {
      let first = scaleAndMinimum(2 &* pair, stored + 4)
      let second = scaleAndMinimum(2 &* pair &+ 1, stored + 4)
      let (scale1, minimum1) = (d * first.scale, dmin * first.minimum)
      let (scale2, minimum2) = (d * second.scale, dmin * second.minimum)
      let quants = stored.loadUnaligned(fromByteOffset: 48 &+ 32 &* pair, as: SIMD32<UInt8>.self)
      let shift = Int32(2 &* pair)
      let values = target + (block &* 256 &+ 64 &* pair)
      for l in 0..<32 {
        let both = Int32(quants[l])
        let bits = Int32(fifths[l]) &>> shift
        values[l] = scale1 * Float(both & 15 | (bits & 1) << 4) - minimum1
        values[32 &+ l] = scale2 * Float(both >> 4 | (bits & 2) << 3) - minimum2
      }
    }
  }
}

/// 128 bytes of the quants' lower 4 bits, 64 bytes of their upper 2, 16 signed scales, d: (q - 32) · (d · scale), in groups
/// of 16. Of each half of the block, 128 values, bytes l and 32 + l hold values l and 32 + l in their lower and 64 + l and
/// 96 + l in their upper halves, and byte l of the upper bits those of all four.
func decodeQ6_K(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 210
    let d = float(half: stored.loadUnaligned(fromByteOffset: 208, as: UInt16.self))
    for part in 0..<4 {
      // 16 of the bytes of upper bits: four groups, which are 32 values apart.
      let (half, offset) = (part >> 1, 16 &* (part & 1))
      let low = stored.loadUnaligned(fromByteOffset: 64 &* half &+ offset, as: SIMD16<UInt8>.self)
      let next = stored.loadUnaligned(fromByteOffset: 64 &* half &+ 32 &+ offset, as: SIMD16<UInt8>.self)
      let high = stored.loadUnaligned(fromByteOffset: 128 &+ 32 &* half &+ offset, as: SIMD16<UInt8>.self)
      let groups = stored + (192 &+ 8 &* half &+ part & 1)
      func scale(_ group: Int) -> Float { d * Float(groups.load(fromByteOffset: group, as: Int8.self)) }
      let (scale1, scale2, scale3, scale4) = (scale(0), scale(2), scale(4), scale(6))
      let values = target + (block &* 256 &+ 128 &* half &+ offset)
      for l in 0..<16 {
        let (first, second, upper) = (Int32(low[l]), Int32(next[l]), Int32(high[l]))
        values[l] = scale1 * Float((first & 15 | (upper & 3) << 4) &- 32)
        values[32 &+ l] = scale2 * Float((second & 15 | (upper & 12) << 2) &- 32)
        values[64 &+ l] = scale3 * Float((first >> 4 | upper & 48) &- 32)
        values[96 &+ l] = scale4 * Float((second >> 4 | (upper & 192) >> 2) &- 32)
      }
    }
  }
}
