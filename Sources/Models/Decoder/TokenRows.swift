import Core
import Kernels
import Weights

/// Rows that take the place of some of the embedding table's, or of the head's. T rows, C width, V vocabulary.
struct TokenRows: Sendable {
  let tokens: [Int32]
  /// [T, C].
  let values: FloatTensor
  private let places: [Int32: Int32]

  init(_ tokens: [Int32], _ values: FloatTensor) {
    self.tokens = tokens
    self.values = values
    places = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, Int32($0)) })
  }

  /// Each token's row here; negative where the table's own counts.
  func rows(of tokens: [Int32]) -> [Int32] { tokens.map { places[$0] ?? -1 } }

  /// The columns of the tokens in logits[rows, V] become those of h[rows, C] · valuesᵀ.
  func project(
    _ h: Floats, _ logits: MutableFloats, rows: Int, classes: Int, picked: FloatBuffer, panel: FloatBuffer,
    _ compute: Compute
  ) {
    let (count, width) = (tokens.count, values.shape[1])
    let columns = picked.ensure(rows * count)
    ProductSum(
      m: rows, n: count, ProductTerm(h, rowStride: width, k: width, .transposed(values.pointer, stride: width))
    ).profiled(as: .headForward).compute(into: columns, stride: count, scratch: panel, compute)
    for row in 0..<rows {
      for (column, token) in tokens.enumerated() {
        logits[row * classes + Int(token)] = columns[row * count + column]
      }
    }
  }

  /// Takes the tokens' columns out of dlogits[rows, V], leaving zeros, and returns them, [rows, T].
  func takeOut(_ dlogits: MutableFloats, rows: Int, classes: Int, into picked: FloatBuffer) -> Floats {
    let columns = picked.ensure(rows * tokens.count)
    for row in 0..<rows {
      for (column, token) in tokens.enumerated() {
        columns[row * tokens.count + column] = dlogits[row * classes + Int(token)]
        dlogits[row * classes + Int(token)] = 0
      }
    }
    return Floats(columns)
  }

  /// dh[rows, C] += columns[rows, T] · values, and, where `gradient` is given, gradient[T, C] += columnsᵀ · h.
  func projectBack(
    _ columns: Floats, _ h: Floats, _ dh: MutableFloats, gradient: MutableFloats?, rows: Int, panel: FloatBuffer,
    _ compute: Compute
  ) {
    let (count, width) = (tokens.count, values.shape[1])
    ProductSum(
      m: rows, n: width, ProductTerm(columns, rowStride: count, k: count, .stored(values.pointer, stride: width)),
      addend: Floats(dh), addendStride: width
    ).profiled(as: .headBackward).compute(into: dh, stride: width, scratch: panel, compute)
    guard let gradient else { return }
    ProductSum(
      m: count, n: width, ProductTerm(columns, rowStride: 1, step: count, k: rows, .stored(h, stride: width)),
      addend: Floats(gradient), addendStride: width
    ).profiled(as: .weightGradients).compute(into: gradient, stride: width, scratch: panel, compute)
  }
}
