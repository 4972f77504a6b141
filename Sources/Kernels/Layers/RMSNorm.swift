import CKernels

/// Root-mean-square normalisation (Zhang & Sennrich 2019): y = x / √(mean(x²) + ε) · (weight + offset).
///
/// N rows, each of `groups` × `width` elements that are normed apart, as the heads of a row of queries are; rows may be further
/// apart than they are long. `rstd` [N, groups] is kept for the backward pass.
public struct RMSNorm: Sendable {
  /// Groups of a row, and elements of a group.
  public var groups: Int
  public var width: Int
  public var epsilon: Float
  /// Added to the weight: 1 where it is stored less one (Gemma).
  public var offset: Float
  /// The groups have one weight [width] in common, not one [groups, width].
  public var sharesWeight: Bool

  public init(groups: Int = 1, width: Int, epsilon: Float, offset: Float = 0, sharesWeight: Bool = true) {
    self.groups = groups
    self.width = width
    self.epsilon = epsilon
    self.offset = offset
    self.sharesWeight = sharesWeight
  }

  private var weightStep: Int { sharesWeight ? 0 : width }

  /// y may be x.
  public func forward(
    _ x: Floats, stride: Int, weight: Floats, _ y: MutableFloats, yStride: Int, rstd: MutableFloats, rows: Int,
    _ compute: Compute
  ) {
    let timing = compute.time(.normForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, weight, y, rstd) = (x, weight, y, rstd)
    compute.overRanges(rows, grain: 16) { range in
      let first = range.lowerBound
      switch compute.engine {
      case .auto:
        sft_rms_norm_forward(
          x + first * stride, stride, weight, weightStep, offset, epsilon, y + first * yStride, yStride,
          rstd + first * groups, range.count, groups, width)
      case .plain:
        forEachGroup(range) { row, group in
          let (input, output) = (x + row * stride + group * width, y + row * yStride + group * width)
          var squares = 0.0
          for i in 0..<width { squares += Double(input[i]) * Double(input[i]) }
          let inverse = 1 / (squares / Double(width) + Double(epsilon)).squareRoot()
          for i in 0..<width {
            output[i] = Float(Double(input[i]) * inverse) * (weight[group * weightStep + i] + offset)
          }
          rstd[row * groups + group] = Float(inverse)
        }
      }
    }
  }

  /// dx = or += the gradient with respect to x; dx may be dy where it is not accumulated.
  public func backward(
    _ x: Floats, stride: Int, weight: Floats, rstd: Floats, dy: Floats, dyStride: Int, dx: MutableFloats, dxStride: Int,
    accumulate: Bool, rows: Int, _ compute: Compute
  ) {
    let timing = compute.time(.normBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (x, weight, rstd, dy, dx) = (x, weight, rstd, dy, dx)
    compute.overRanges(rows, grain: 16) { range in
      let first = range.lowerBound
      switch compute.engine {
      case .auto:
        sft_rms_norm_backward(
          x + first * stride, stride, weight, weightStep, offset, rstd + first * groups, dy + first * dyStride,
          dyStride,
          dx + first * dxStride, dxStride, accumulate ? 1 : 0, range.count, groups, width)
      case .plain:
        forEachGroup(range) { row, group in
          let (input, upstream) = (x + row * stride + group * width, dy + row * dyStride + group * width)
          let (gradient, own) = (dx + row * dxStride + group * width, weight + group * weightStep)
          let r = Double(rstd[row * groups + group])
          var dot = 0.0
          for i in 0..<width { dot += Double(upstream[i] * (own[i] + offset)) * Double(input[i]) }
          dot *= r * r * r / Double(width)
          for i in 0..<width {
            let value = Float(Double(upstream[i] * (own[i] + offset)) * r - Double(input[i]) * dot)
            gradient[i] = accumulate ? gradient[i] + value : value
          }
        }
      }
    }
  }

  /// dweight += the gradient, summed in the order of the rows.
  public func backwardWeight(
    _ x: Floats, stride: Int, rstd: Floats, dy: Floats, dyStride: Int, dweight: MutableFloats, rows: Int,
    _ compute: Compute
  ) {
    nonisolated(unsafe) let (x, rstd, dy, dweight) = (x, rstd, dy, dweight)
    compute.overRanges(width, grain: 16) { columns in
      let first = columns.lowerBound
      for group in 0..<groups {
        sft_rms_norm_backward_weight(
          x + group * width + first, stride, rstd + group, groups, dy + group * width + first, dyStride,
          dweight + group * weightStep + first, rows, columns.count)
      }
    }
  }

  private func forEachGroup(_ rows: Range<Int>, _ body: (_ row: Int, _ group: Int) -> Void) {
    for row in rows { for group in 0..<groups { body(row, group) } }
  }
}
