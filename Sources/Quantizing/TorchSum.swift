/// Σ values in float32 in the order in which torch adds them on one x86-64 thread, to the last bit.
///
/// torch's `sum` of a contiguous tensor (ATen's SumKernel) adds vectors of 8, four of them side by side, in a cascade of
/// four levels, each of which passes its sum on after so many additions that all levels fill evenly. It needs no more than
/// that to lose little precision. On several threads torch cuts tensors of 32,768 values and more in pieces, and the last
/// bit may then differ.
package func torchSum(_ values: UnsafeBufferPointer<Float>) -> Float {
  typealias Vector = SIMD8<Float>
  let vectors = values.count / Vector.scalarCount
  func vector(_ index: Int) -> Vector {
    UnsafeRawBufferPointer(values).loadUnaligned(fromByteOffset: index * MemoryLayout<Vector>.stride, as: Vector.self)
  }
  var sums = cascadeSums(rows: vectors / 4, vector)
  for index in vectors / 4 * 4..<vectors { sums[0] += vector(index) }
  let lanes = sums[0] + sums[1] + sums[2] + sums[3]
  var total: Float = 0
  for index in vectors * Vector.scalarCount..<values.count { total += values[index] }
  for lane in lanes.indices { total += lanes[lane] }
  return total
}

/// The sums of vectors 0, 4, 8 …, of 1, 5, 9 …, and so on, over `rows` rows of four.
private func cascadeSums(rows: Int, _ vector: (Int) -> SIMD8<Float>) -> [SIMD8<Float>] {
  let levels = 4
  // ⌈log2 rows⌉ spread over the levels, and at least 16 additions each.
  let ceilingLog = rows <= 2 ? 1 : Int.bitWidth - (rows - 1).leadingZeroBitCount
  let power = max(4, ceilingLog / levels)
  let step = 1 << power
  var sums = [[SIMD8<Float>]](repeating: [SIMD8<Float>](repeating: .zero, count: 4), count: levels)
  func add(_ row: Int) {
    for column in 0..<4 { sums[0][column] += vector(4 * row + column) }
  }
  var row = 0
  while row + step <= rows {
    for _ in 0..<step {
      add(row)
      row += 1
    }
    for level in 1..<levels {
      for column in 0..<4 {
        sums[level][column] += sums[level - 1][column]
        sums[level - 1][column] = .zero
      }
      if row & (step - 1) << (level * power) != 0 { break }
    }
  }
  while row < rows {
    add(row)
    row += 1
  }
  for level in 1..<levels {
    for column in 0..<4 { sums[0][column] += sums[level][column] }
  }
  return sums[0]
}
