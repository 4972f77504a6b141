import CKernels

/// One AdamW update (Loshchilov & Hutter 2019), as `torch.optim.AdamW` computes it: bias-corrected moments, decoupled decay.
public struct AdamWStep: Sendable {
  /// Multiplies the gradients first: the clipping factor.
  public var gradientScale: Float = 1
  public var learningRate: Float
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  public var weightDecay: Float
  /// 1-based.
  public var step: Int

  public init(
    gradientScale: Float = 1, learningRate: Float, beta1: Float, beta2: Float, epsilon: Float = 1e-8,
    weightDecay: Float, step: Int
  ) {
    self.gradientScale = gradientScale
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.step = step
  }

  /// Updates `parameters` and the moments `m`, `v` in place; `count` elements each.
  public func apply(
    _ parameters: MutableFloats, gradients: Floats, m: MutableFloats, v: MutableFloats, count: Int, _ compute: Compute
  ) {
    let correction1 = Float(1 - power(Double(beta1), step))
    let correction2 = Float((1 - power(Double(beta2), step)).squareRoot())
    nonisolated(unsafe) let (parameters, gradients, m, v) = (parameters, gradients, m, v)
    compute.overRanges(count, grain: 1 << 14) { range in
      let i = range.lowerBound
      switch compute.engine {
      case .auto:
        sft_adamw(
          parameters + i, gradients + i, m + i, v + i, range.count, gradientScale, learningRate, beta1, beta2, epsilon,
          weightDecay, correction1, correction2)
      case .plain:
        for i in range {
          let g = gradients[i] * gradientScale
          m[i] = beta1 * m[i] + (1 - beta1) * g
          v[i] = beta2 * v[i] + (1 - beta2) * g * g
          parameters[i] -= learningRate * weightDecay * parameters[i]
          parameters[i] -= learningRate / correction1 * m[i] / (v[i].squareRoot() / correction2 + epsilon)
        }
      }
    }
  }

  private func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0
    for _ in 0..<exponent { result *= base }
    return result
  }
}
