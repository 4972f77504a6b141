// Types of 32 values a block, each with a scale d (and a minimum m) in binary16. Of the 4-bit types byte j holds value j
// in its lower half and value 16 + j in its upper half.

/// d, 16 bytes: (q - 8) · d.
func decodeQ4_0(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 18
    let scale = float(half: stored.loadUnaligned(as: UInt16.self))
    let quants = stored.loadUnaligned(fromByteOffset: 2, as: SIMD16<UInt8>.self)
    let values = target + block &* 32
    for j in 0..<16 {
      let pair = Int32(quants[j])
      values[j] = Float(pair & 15 &- 8) * scale
      values[16 &+ j] = Float(pair >> 4 &- 8) * scale
    }
  }
}

/// d, m, 16 bytes: q · d + m.
func decodeQ4_1(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 20
    let scale = float(half: stored.loadUnaligned(as: UInt16.self))
    let minimum = float(half: stored.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    let quants = stored.loadUnaligned(fromByteOffset: 4, as: SIMD16<UInt8>.self)
    let values = target + block &* 32
    for j in 0..<16 {
      let pair = Int32(quants[j])
      values[j] = Float(pair & 15) * scale + minimum
      values[16 &+ j] = Float(pair >> 4) * scale + minimum
    }
  }
}

/// d, 32 signed bytes: q · d.
func decodeQ8_0(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
  for block in 0..<count {
    let stored = source + block &* 34
    let scale = float(half: stored.loadUnaligned(as: UInt16.self))
    let quants = stored.loadUnaligned(fromByteOffset: 2, as: SIMD32<Int8>.self)
    let values = target + block &* 32
    for j in 0..<32 { values[j] = Float(Int32(quants[j])) * scale }
  }
}
