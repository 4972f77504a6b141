import CKernels
import Core

/// Products of frozen matrices with one vector, in one parallel loop: for generation, which multiplies one row at a time and
/// is bound by reading the matrices and, in small models, by what it takes to hand out work.
///
/// Each output is computed by one thread in one order: it does not depend on the number of threads, nor on what else is in
/// the loop.
struct RowProducts {
  enum Matrix {
    case fourBit(FourBitMatrix)
    case half(HalfMatrix)
  }

  /// y[outputs] = W · x of some of the matrix's rows, or += where it accumulates.
  struct Part {
    var matrix: Matrix
    var outputs: Range<Int>
    var y: MutableFloats
    var accumulate: Bool
  }

  /// [width].
  var x: Floats
  var width: Int
  var parts: [Part]

  /// Weights that a thread takes at once.
  private static let grain = 1 << 16

  /// With the instructions of an x86-64 level.
  func compute(level: Int32, _ compute: Compute) {
    let splits =
      sft_four_bit_splits(width) != 0 && parts.contains { if case .fourBit = $0.matrix { true } else { false } }
    // Nibbles come in pairs, so the vector loop wants the elements of x of even and odd index apart.
    withUnsafeTemporaryAllocation(byteCount: splits ? width * 4 : 4, alignment: 64) { scratch in
      let halves = scratch.bindMemory(to: Float.self)
      guard let even = halves.baseAddress else { return }
      let odd = even + (splits ? width / 2 : 0)
      if splits { for i in 0..<width / 2 { (even[i], odd[i]) = (x[2 * i], x[2 * i + 1]) } }
      nonisolated(unsafe) let (parts, x, first, second) = (parts, x, UnsafePointer(even), UnsafePointer(odd))
      let width = width
      let rows = max(4, Self.grain / max(1, width) / 4 * 4)
      let pieces = parts.reduce(0) { $0 + ($1.outputs.count + rows - 1) / rows }
      parallelFor(pieces, threads: compute.threads) { piece in
        var start = piece * rows
        for part in parts {
          let count = part.outputs.count
          if start >= count {
            start -= (count + rows - 1) / rows * rows
            continue
          }
          let some = part.outputs.lowerBound + start..<part.outputs.lowerBound + min(start + rows, count)
          switch part.matrix {
          case .half(let matrix): matrix.multiply(some, x, into: part.y + start, accumulate: part.accumulate)
          case .fourBit(let matrix):
            withUnsafePointer(to: matrix.memory) {
              sft_four_bit_multiply(
                level, $0, some.lowerBound, some.count, width, x, first, second, part.y + start,
                part.accumulate ? 1 : 0)
            }
          }
          return
        }
      }
    }
  }
}

extension ProductSum {
  /// Computes each sum into its C, all of them of one row whose first terms have the same A: in one parallel loop where
  /// their matrices are frozen ones, else one after the other. The results are those of `compute`.
  public static func computeRows(
    _ sums: [(sum: ProductSum, c: MutableFloats)], scratch: FloatBuffer, _ compute: Compute
  ) {
    precondition(sums.allSatisfy { $0.sum.m == 1 })
    let parts = sums.compactMap { sum, c in sum.rowPart(into: c, compute) }
    guard let first = sums.first?.sum, parts.count == sums.count else {
      for (sum, c) in sums { sum.compute(into: c, stride: sum.n, scratch: scratch, compute) }
      return
    }
    let flop = sums.reduce(0) { $0 + 2 * Double($1.sum.n) * Double($1.sum.first.k + ($1.sum.second?.k ?? 0)) }
    let timing = compute.time(first.operation, flop: flop)
    defer { timing?.end() }
    for (sum, c) in sums { if let addend = sum.addend, addend != Floats(c) { c.update(from: addend, count: sum.n) } }
    RowProducts(x: first.first.a, width: first.first.k, parts: parts).compute(level: sft_cpu_level(), compute)
    for (sum, c) in sums { sum.addRest(to: c, stride: sum.n, scratch, compute) }
  }

  /// The first term as a product with a whole frozen matrix; nil where it is none.
  func rowPart(into c: MutableFloats, _ compute: Compute) -> RowProducts.Part? {
    guard compute.engine == .auto, m == 1, first.scale == 1, first.step == 1 else { return nil }
    let matrix: RowProducts.Matrix
    switch first.b {
    case .fourBitTransposed(let weight) where first.k == weight.inputs: matrix = .fourBit(weight)
    case .halfTransposed(let weight) where first.k == weight.columns: matrix = .half(weight)
    default: return nil
    }
    return RowProducts.Part(
      matrix: matrix, outputs: first.firstColumn..<first.firstColumn + n, y: c, accumulate: addend != nil)
  }
}
