import CKernels
import Core

extension ProductSum {
  /// Floats of a decoded panel: small enough to stay in the second-level cache beside what it is multiplied with.
  private static let panelFloats = 1 << 17

  /// Computes C, [m, n] with rows of `stride`, by OpenBLAS: by its general product, except for single rows.
  package func computeByOpenBLAS(into c: MutableFloats, stride: Int, scratch: FloatBuffer, _ compute: Compute) {
    if let addend, addend != Floats(c) {
      for row in 0..<m { (c + row * stride).update(from: addend + row * addendStride, count: n) }
    }
    add(first, to: c, stride: stride, beta: addend == nil ? 0 : 1, scratch, compute)
    addRest(to: c, stride: stride, scratch, compute)
  }

  /// C += the second term and the bias.
  func addRest(to c: MutableFloats, stride: Int, _ scratch: FloatBuffer, _ compute: Compute) {
    let level = sft_cpu_level()
    if let second, compute.engine == .auto, compute.rowKernels != .fastest, Self.panelsWin(m: 2, level: level) {
      return ProductSum(m: m, n: n, second, addend: Floats(c), addendStride: stride, bias: bias)
        .computeOnPanels(into: c, stride: stride, scratch: scratch, level: level, compute)
    }
    if let second { add(second, to: c, stride: stride, beta: 1, scratch, compute) }
    guard let bias else { return }
    if stride == n { return Elementwise.addBias(bias, to: c, rows: m, width: n, compute) }
    for row in 0..<m { Elementwise.addBias(bias, to: c + row * stride, rows: 1, width: n, compute) }
  }

  /// C = beta · C + term.
  private func add(
    _ term: ProductTerm, to c: MutableFloats, stride: Int, beta: Float, _ scratch: FloatBuffer, _ compute: Compute
  ) {
    // A(i, x) with a step other than 1 is the transpose of a row-major matrix.
    let transposeA = term.step != 1
    precondition(!transposeA || term.rowStride == 1, "A is neither row-major nor column-major")
    func multiply(
      columns: Range<Int>, k: Range<Int>, _ b: Floats, ldb: Int, transposeB: Bool, beta: Float
    ) {
      LinearAlgebra.multiply(
        m: m, n: columns.count, k: k.count, alpha: term.scale, a: term.a + k.lowerBound * term.step,
        lda: transposeA ? term.step : term.rowStride, transposeA: transposeA, b: b, ldb: ldb, transposeB: transposeB,
        beta: beta, c: c + columns.lowerBound, ldc: stride, threads: compute.threads)
    }
    let (row, column) = (term.firstRow, term.firstColumn)
    switch term.b {
    case .stored(let values, let ldb) where isWeightGradient && compute.engine == .auto:
      LinearAlgebra.multiplyInBlocks(
        m: m, n: n, k: term.k, alpha: term.scale, transposedA: term.a, lda: term.step, b: values + row * ldb + column,
        ldb: ldb, beta: beta, c: c, ldc: stride, compute)
    case .transposed(let values, let ldb) where m == 1 && beta == 0 && term.scale == 1 && compute.engine == .auto:
      Self.multiplyRow(term.a, values + column * ldb + row, ldb: ldb, n: n, k: term.k, into: c, compute)
    case .stored(let values, let ldb):
      multiply(
        columns: 0..<n, k: 0..<term.k, values + row * ldb + column, ldb: ldb, transposeB: false, beta: beta)
    case .transposed(let values, let ldb):
      multiply(columns: 0..<n, k: 0..<term.k, values + column * ldb + row, ldb: ldb, transposeB: true, beta: beta)
    case .panels(let matrix):
      for first in Swift.stride(from: 0, to: n, by: Self.panelColumns) {
        multiply(
          columns: first..<min(first + Self.panelColumns, n), k: 0..<term.k,
          matrix.panel((column + first) / Self.panelColumns, row: row), ldb: Self.panelColumns, transposeB: false,
          beta: beta)
      }
    case .panelsTransposed(let matrix):
      for first in Swift.stride(from: 0, to: term.k, by: Self.panelColumns) {
        multiply(
          columns: 0..<n, k: first..<min(first + Self.panelColumns, term.k),
          matrix.panel((row + first) / Self.panelColumns, row: column), ldb: Self.panelColumns, transposeB: true,
          beta: first == 0 ? beta : 1)
      }
    case .fourBitTransposed(let matrix) where m == 1 && term.k == matrix.inputs && term.scale == 1:
      FourBit.multiply(matrix, outputs: column..<column + n, term.a, into: c, accumulate: beta != 0, compute)
    case .halfTransposed(let matrix)
    where m == 1 && term.k == matrix.columns && term.scale == 1 && compute.engine == .auto:
      let part = RowProducts.Part(
        matrix: .half(matrix), outputs: column..<column + n, y: c, accumulate: beta != 0)
      RowProducts(x: term.a, width: term.k, parts: [part]).compute(level: sft_cpu_level(), compute)
    case .blocksTransposed(let matrix)
    where m == 1 && term.k == matrix.inputs && term.scale == 1 && compute.engine == .auto:
      let part = RowProducts.Part(
        matrix: .blocks(matrix), outputs: column..<column + n, y: c, accumulate: beta != 0)
      RowProducts(x: term.a, width: term.k, parts: [part]).compute(level: sft_cpu_level(), compute)
    case .fourBitTransposed, .halfTransposed, .blocksTransposed:
      overRows(column..<column + n, of: term.b, scratch, compute) { columns, decoded, ldb in
        multiply(columns: columns, k: 0..<term.k, decoded + row, ldb: ldb, transposeB: true, beta: beta)
      }
    case .fourBit, .half, .blocks:
      overRows(row..<row + term.k, of: term.b, scratch, compute) { rows, decoded, ldb in
        multiply(
          columns: 0..<n, k: rows, decoded + column, ldb: ldb, transposeB: false,
          beta: rows.lowerBound == 0 ? beta : 1)
      }
    }
  }

  /// c[n] = B · a for one row: bound by reading B once, which takes both threads and no more arithmetic than that.
  private static func multiplyRow(
    _ a: Floats, _ b: Floats, ldb: Int, n: Int, k: Int, into c: MutableFloats, _ compute: Compute
  ) {
    nonisolated(unsafe) let (a, b, c) = (a, b, c)
    let rows = max(4, (1 << 16) / max(1, k) / 4 * 4)
    parallelFor((n + rows - 1) / rows, threads: compute.threads) { part in
      let first = part * rows
      sft_row_products(b + first * ldb, ldb, min(rows, n - first), k, a, c + first)
    }
  }

  /// Decodes some of the weight's `rows` after the others, and hands each part [·, inputs], counted from the first of
  /// them, to `body`, with how long its rows are.
  private func overRows(
    _ rows: Range<Int>, of factor: ProductFactor, _ scratch: FloatBuffer, _ compute: Compute,
    _ body: (Range<Int>, Floats, _ width: Int) -> Void
  ) {
    let width: Int
    let decode: (Range<Int>, MutableFloats) -> Void
    switch factor {
    case .fourBit(let matrix), .fourBitTransposed(let matrix):
      width = matrix.inputs
      decode = { FourBit.decode(matrix, rows: $0, into: $1, compute) }
    case .half(let matrix), .halfTransposed(let matrix):
      width = matrix.columns
      decode = { matrix.decode(row: $0.lowerBound, count: $0.count * matrix.columns, into: $1) }
    case .blocks(let matrix), .blocksTransposed(let matrix):
      width = matrix.inputs
      decode = { matrix.decode(rows: $0, into: $1, compute) }
    case .stored, .transposed, .panels, .panelsTransposed: preconditionFailure("this factor is not encoded")
    }
    let step = max(1, min(rows.count, max(64, Self.panelFloats / width / 64 * 64)))
    let decoded = scratch.ensure(step * width)
    for first in Swift.stride(from: 0, to: rows.count, by: step) {
      let part = first..<min(first + step, rows.count)
      decode(rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound, decoded)
      body(part, Floats(decoded), width)
    }
  }
}
