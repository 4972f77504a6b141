import Core
import Kernels
import Weights

/// A normalisation of the residual stream or of what a branch adds to it, [N, C] → [N, C].
struct Norm: Sendable {
  enum Kind: Sendable {
    case layer(bias: FloatTensor)
    case rms(RMSNorm)
  }

  var weight: FloatTensor
  var kind: Kind
  var epsilon: Float

  private var width: Int { weight.count }

  /// Numbers a row that the backward pass needs.
  static let statisticsWidth = 2

  /// `statistics`: [2, N].
  func forward(_ x: Floats, _ y: MutableFloats, statistics: MutableFloats, rows: Int, _ compute: Compute) {
    switch kind {
    case .layer(let bias):
      LayerNorm.forward(
        x, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, y: y, mean: statistics,
        rstd: statistics + rows, rows: rows, width: width, compute)
    case .rms(let norm):
      norm.forward(
        x, stride: width, weight: weight.pointer, y, yStride: width, rstd: statistics, rows: rows, compute)
    }
  }

  /// dx = or += the gradient; and where the weights are trained, they get theirs in `gradients`. dx is not dy.
  func backward(
    _ x: Floats, statistics: Floats, dy: Floats, dx: MutableFloats, accumulate: Bool = true, rows: Int,
    gradients: WeightGradients?, _ compute: Compute
  ) {
    switch kind {
    case .layer(let bias):
      let rstd = statistics + rows
      if let gradients {
        LayerNorm.backwardParameters(
          x, mean: statistics, rstd: rstd, dy: dy, dweight: gradients.of(weight), dbias: gradients.of(bias),
          rows: rows, width: width, compute)
      }
      if !accumulate { Elementwise.clear(dx, count: rows * width, compute) }
      LayerNorm.backward(
        x, weight: weight.pointer, mean: statistics, rstd: rstd, dy: dy, dx: dx, rows: rows, width: width, compute)
    case .rms(let norm):
      if let gradients {
        norm.backwardWeight(
          x, stride: width, rstd: statistics, dy: dy, dyStride: width, dweight: gradients.of(weight), rows: rows,
          compute)
      }
      norm.backward(
        x, stride: width, weight: weight.pointer, rstd: statistics, dy: dy, dyStride: width, dx: dx, dxStride: width,
        accumulate: accumulate, rows: rows, compute)
    }
  }
}

/// A norm over queries or keys, inside the rows that hold queries, keys and values.
struct HeadNorm: Sendable {
  var weight: FloatTensor
  var norm: RMSNorm

  /// Columns that it covers.
  var width: Int { norm.groups * norm.width }
}
