import CKernels
import Core

/// Products of frozen matrices with one vector, or with a few that weights are then decoded once for, in one parallel
/// loop: for generation, which is bound by reading and decoding the matrices and, in small models, by what it takes to
/// hand out work.
///
/// Each output is computed by one thread in one order: it does not depend on the number of threads, nor on what else is in
/// the loop.
struct RowProducts {
  enum Matrix {
    case fourBit(FourBitMatrix)
    case half(HalfMatrix)
    case blocks(BlockMatrix)
  }

  /// y[count, outputs] = x · Wᵀ of some of the matrix's rows, or += where it accumulates.
  struct Part {
    var matrix: Matrix
    var outputs: Range<Int>
    var y: MutableFloats
    /// From one row of y to the next.
    var stride = 0
    var accumulate: Bool

    /// Whether it is in ggml's blocks, which AVX2 multiplies with several rows on panels alone.
    var isInBlocks: Bool {
      if case .blocks = matrix { true } else { false }
    }

    /// How many x are multiplied with it at once: of 4-bit codes where rows are of whole blocks.
    func most(_ level: Int32) -> Int {
      switch matrix {
      case .fourBit(let matrix):
        sft_four_bit_arranged(level, matrix.inputs) > 0 ? Int(sft_four_bit_most_rows(level)) : 1
      case .half: Int(sft_half_most_rows(level))
      case .blocks: Int(sft_blocks_most_rows(level))
      }
    }
  }

  /// [count, width], rows `stride` apart. More than one from level 3 on.
  var x: Floats
  var stride = 0
  var count = 1
  var width: Int
  var parts: [Part]

  /// Weights that a thread takes at once: as many as memory is read fastest with, and fewer where threads would wait for the
  /// last one.
  private var grain: Int {
    let all = parts.reduce(0) { $0 + $1.outputs.count * width }
    return max(1 << 16, min(1 << 18, all / 64))
  }

  /// Computes the products with the instructions of an x86-64 level.
  func compute(level: Int32, _ compute: Compute) {
    let most = parts.map { $0.most(level) }.min() ?? 1
    let groups = (count + most - 1) / most
    for group in 0..<groups {
      // Of about the same size.
      let some = count * group / groups..<count * (group + 1) / groups
      computeGroup(some, level: level, compute)
    }
  }

  /// A group's x, laid out as 4-bit matrices meet them.
  private enum Arranged {
    case none
    case floats(Floats)
    case integers(UnsafePointer<Int16>, scales: Floats)
    case bytes(UnsafePointer<Int8>, scales: Floats, corrections: Floats)
  }

  private func computeGroup(_ group: Range<Int>, level: Int32, _ compute: Compute) {
    let codes = Set(
      parts.compactMap { part -> FourBitCode? in
        if case .fourBit(let matrix) = part.matrix { matrix.code } else { nil }
      })
    let arranges = codes.isEmpty ? 0 : sft_four_bit_arranged(level, width)
    // What is laid out for integers knows the scale of its code.
    if arranges > 0, codes.count == 1, let code = codes.first {
      if compute.rowPrecision == .int16, sft_four_bit_has_integers(level) != 0 {
        computeIntegers(group, code, level, compute)
        return
      }
      if compute.rowPrecision == .int8, sft_four_bit_has_bytes(level) != 0 {
        computeBytes(group, code, level, compute)
        return
      }
    }
    let x = x + group.lowerBound * stride
    withUnsafeTemporaryAllocation(byteCount: max(4, group.count * arranges * 4), alignment: 64) { scratch in
      guard arranges > 0, let start = scratch.bindMemory(to: Float.self).baseAddress else {
        computePieces(group, level, .none, compute)
        return
      }
      sft_four_bit_arrange(level, x, stride, group.count, width, start)
      computePieces(group, level, .floats(Floats(start)), compute)
    }
  }

  /// Of 4-bit matrices of whole blocks, with the group's x rounded to 16-bit integers.
  private func computeIntegers(_ group: Range<Int>, _ code: FourBitCode, _ level: Int32, _ compute: Compute) {
    let count = group.count * sft_four_bit_integers(level, width)
    let scaleCount = group.count * sft_four_bit_integer_scales(level, width)
    let first = x + group.lowerBound * stride
    withUnsafeTemporaryAllocation(byteCount: count * 2 + scaleCount * 4, alignment: 64) { scratch in
      guard let start = scratch.baseAddress else { return }
      let integers = start.bindMemory(to: Int16.self, capacity: count)
      let scales = (start + count * 2).bindMemory(to: Float.self, capacity: scaleCount)
      sft_four_bit_arrange_integers(
        level, code.integerScale, first, stride, group.count, width, integers, scales)
      computePieces(group, level, .integers(UnsafePointer(integers), scales: Floats(scales)), compute)
    }
  }

  /// Of 4-bit matrices of whole blocks, with the group's x rounded to 8-bit integers.
  private func computeBytes(_ group: Range<Int>, _ code: FourBitCode, _ level: Int32, _ compute: Compute) {
    let count = group.count * width
    let scaleCount = group.count * sft_four_bit_byte_scales(width)
    let first = x + group.lowerBound * stride
    withUnsafeTemporaryAllocation(byteCount: count + 2 * scaleCount * 4, alignment: 64) { scratch in
      guard let start = scratch.baseAddress else { return }
      let bytes = start.bindMemory(to: Int8.self, capacity: count)
      let scales = (start + count).bindMemory(to: Float.self, capacity: 2 * scaleCount)
      withUnsafePointer(to: code.bytes) {
        sft_four_bit_arrange_bytes($0, first, stride, group.count, width, bytes, scales, scales + scaleCount)
      }
      computePieces(
        group, level,
        .bytes(UnsafePointer(bytes), scales: Floats(scales), corrections: Floats(scales + scaleCount)), compute)
    }
  }

  private func computePieces(_ group: Range<Int>, _ level: Int32, _ arranged: Arranged, _ compute: Compute) {
    nonisolated(unsafe) let x = x + group.lowerBound * stride
    nonisolated(unsafe) let parts = parts
    nonisolated(unsafe) let arranged = arranged
    let (width, stride) = (width, stride)
    // Whole tiles of rows, whatever the number of x.
    let rows = max(24, grain / max(1, width) / 24 * 24)
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
        let y = part.y + group.lowerBound * part.stride + start
        switch part.matrix {
        case .half(let matrix) where group.count > 1:
          matrix.multiply(
            some, x, stride: stride, count: group.count, into: y, stride: part.stride, accumulate: part.accumulate,
            level: level)
        case .half(let matrix):
          matrix.multiply(some, x, into: y, accumulate: part.accumulate, level: level)
        case .blocks(let matrix):
          matrix.multiply(
            some, x, stride: stride, count: group.count, into: y, stride: part.stride, accumulate: part.accumulate,
            level: level)
        case .fourBit(let matrix):
          let accumulate: Int32 = part.accumulate ? 1 : 0
          withUnsafePointer(to: matrix.memory) { memory in
            switch arranged {
            case .integers(let integers, let scales):
              sft_four_bit_multiply_integers(
                level, memory, matrix.code.integers, some.lowerBound, some.count, width, integers, scales, group.count,
                y, part.stride, accumulate, 1)
            case .bytes(let bytes, let scales, let corrections):
              withUnsafePointer(to: matrix.code.bytes) {
                sft_four_bit_multiply_bytes(
                  memory, $0, some.lowerBound, some.count, width, bytes, scales, corrections, group.count, y,
                  part.stride, accumulate, 1)
              }
            case .floats(let floats):
              sft_four_bit_multiply(
                level, memory, some.lowerBound, some.count, width, x, stride, floats, group.count, y, part.stride,
                accumulate)
            case .none:
              sft_four_bit_multiply(
                level, memory, some.lowerBound, some.count, width, x, stride, nil, group.count, y, part.stride,
                accumulate)
            }
          }
        }
        return
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

  /// Rows up to which decoding each weight for eight of them at a time costs less than laying out panels.
  private static let fewRows = 16

  /// Computes C by decoding rows of frozen weights as they lie, where that is faster than on panels, or asked for: for several
  /// sequences that are generated at once. Gives false where it is not done.
  func computeFewRows(into c: MutableFloats, stride: Int, scratch: FloatBuffer, _ compute: Compute) -> Bool {
    let level = sft_cpu_level()
    let most =
      switch compute.rowKernels {
      case .fastest: Self.fewRows
      case .byRow: Int.max
      case .byPanel: 0
      }
    guard m > 1 || compute.rowKernels == .byRow, m <= most, var part = rowsPart(into: c),
      m == 1 || part.most(level) > 1 || compute.rowKernels == .byRow && level >= 3 && !part.isInBlocks
    else { return false }
    part.stride = stride
    if let addend, addend != Floats(c) {
      for row in 0..<m { (c + row * stride).update(from: addend + row * addendStride, count: n) }
    }
    RowProducts(x: first.a, stride: first.rowStride, count: m, width: first.k, parts: [part]).compute(
      level: level, compute)
    addRest(to: c, stride: stride, scratch, compute)
    return true
  }

  /// The first term as a product with a whole frozen matrix; nil where it is none.
  func rowPart(into c: MutableFloats, _ compute: Compute) -> RowProducts.Part? {
    compute.engine == .auto && compute.rowKernels != .byPanel && m == 1 ? rowsPart(into: c) : nil
  }

  private func rowsPart(into c: MutableFloats) -> RowProducts.Part? {
    guard first.scale == 1, first.step == 1 else { return nil }
    let matrix: RowProducts.Matrix
    switch first.b {
    case .fourBitTransposed(let weight) where first.k == weight.inputs: matrix = .fourBit(weight)
    case .halfTransposed(let weight) where first.k == weight.columns: matrix = .half(weight)
    case .blocksTransposed(let weight) where first.k == weight.inputs: matrix = .blocks(weight)
    default: return nil
    }
    return RowProducts.Part(
      matrix: matrix, outputs: first.firstColumn..<first.firstColumn + n, y: c, accumulate: addend != nil)
  }
}
