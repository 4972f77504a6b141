import CKernels

/// Layer normalisation (Ba, Kiros, Hinton 2016) over rows of C elements.
///
/// N rows, C width. `mean` and `rstd` [N] are kept for the backward pass.
public enum LayerNorm {
  /// y[N, C] = (x − mean) · rstd · weight + bias.
  public static func forward(
    _ x: Floats, weight: Floats, bias: Floats, epsilon: Float, y: MutableFloats, mean: MutableFloats,
    rstd: MutableFloats, rows: Int, width: Int, _ compute: Compute
  ) {
    let timing = compute.time(.normForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, weight, bias, y, mean, rstd) = (x, weight, bias, y, mean, rstd)
    compute.overRanges(rows, grain: 16) { range in
      switch compute.engine {
      case .auto:
        let first = range.lowerBound
        sft_layer_norm_forward(
          x + first * width, weight, bias, epsilon, y + first * width, mean + first, rstd + first, range.count, width)
      case .plain:
        for row in range {
          let (input, output) = (x + row * width, y + row * width)
          var sum = 0.0
          for i in 0..<width { sum += Double(input[i]) }
          let average = sum / Double(width)
          var squares = 0.0
          for i in 0..<width { squares += (Double(input[i]) - average) * (Double(input[i]) - average) }
          let inverse = 1 / (squares / Double(width) + Double(epsilon)).squareRoot()
          for i in 0..<width { output[i] = Float((Double(input[i]) - average) * inverse) * weight[i] + bias[i] }
          mean[row] = Float(average)
          rstd[row] = Float(inverse)
        }
      }
    }
  }

  /// dx[N, C] += the gradient with respect to x.
  public static func backward(
    _ x: Floats, weight: Floats, mean: Floats, rstd: Floats, dy: Floats, dx: MutableFloats, rows: Int, width: Int,
    _ compute: Compute
  ) {
    let timing = compute.time(.normBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, weight, mean, rstd, dy, dx) = (x, weight, mean, rstd, dy, dx)
    compute.overRanges(rows, grain: 16) { range in
      switch compute.engine {
      case .auto:
        let first = range.lowerBound
        sft_layer_norm_backward(
          x + first * width, weight, mean + first, rstd + first, dy + first * width, dx + first * width, range.count,
          width)
      case .plain:
        for row in range {
          let (input, upstream, gradient) = (x + row * width, dy + row * width, dx + row * width)
          let (m, r) = (Double(mean[row]), Double(rstd[row]))
          var (sum, dot) = (0.0, 0.0)
          for i in 0..<width {
            let scaled = Double(upstream[i] * weight[i])
            sum += scaled
            dot += scaled * (Double(input[i]) - m) * r
          }
          sum /= Double(width)
          dot /= Double(width)
          for i in 0..<width {
            gradient[i] += Float((Double(upstream[i] * weight[i]) - sum - (Double(input[i]) - m) * r * dot) * r)
          }
        }
      }
    }
  }

  /// dweight[C] and dbias[C] += the gradients with respect to weight and bias. The threads share out the columns, so each
  /// sum is taken in the order of the rows.
  public static func backwardParameters(
    _ x: Floats, mean: Floats, rstd: Floats, dy: Floats, dweight: MutableFloats, dbias: MutableFloats, rows: Int,
    width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, mean, rstd, dy, dweight, dbias) = (x, mean, rstd, dy, dweight, dbias)
    compute.overRanges(width, grain: 16) { columns in
      switch compute.engine {
      case .auto:
        let first = columns.lowerBound
        sft_layer_norm_backward_parameters(
          x + first, mean, rstd, dy + first, dweight + first, dbias + first, rows, width, columns.count)
      case .plain:
        for i in columns {
          var (scale, shift) = (0.0, 0.0)
          for row in 0..<rows {
            let upstream = Double(dy[row * width + i])
            scale += upstream * (Double(x[row * width + i]) - Double(mean[row])) * Double(rstd[row])
            shift += upstream
          }
          dweight[i] += Float(scale)
          dbias[i] += Float(shift)
        }
      }
    }
  }
}
