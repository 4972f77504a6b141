import CKernels
import Glibc

/// One AdamW update (Loshchilov & Hutter 2019), as `torch.optim.AdamW` computes it: bias-corrected moments, decoupled
/// decay. Scalars are worked out in double and rounded once, as PyTorch does.
public struct AdamWStep: Sendable {
  /// Multiplies the gradients first: the clipping factor.
  public var gradientScale: Float
  public var learningRate: Double
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var weightDecay: Double
  /// 1-based.
  public var step: Int

  public init(
    gradientScale: Float = 1, learningRate: Double, beta1: Double, beta2: Double, epsilon: Double = 1e-8,
    weightDecay: Double, step: Int
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
    let correction1 = 1 - pow(beta1, Double(step))
    let correction2 = (1 - pow(beta2, Double(step))).squareRoot()
    let factors = sft_adamw_factors(
      gradient_scale: gradientScale, decay: Float(1 - learningRate * weightDecay),
      one_minus_beta1: Float(1 - beta1), beta2: Float(beta2), one_minus_beta2: Float(1 - beta2),
      step_size: Float(learningRate / correction1), bias_correction2_sqrt: Float(correction2), epsilon: Float(epsilon))
    nonisolated(unsafe) let (parameters, gradients, m, v) = (parameters, gradients, m, v)
    compute.overRanges(count, grain: 1 << 14) { range in
      let i = range.lowerBound
      switch compute.engine {
      case .auto: sft_adamw(parameters + i, gradients + i, m + i, v + i, range.count, factors)
      case .plain:
        for i in range {
          let g = Double(gradients[i] * gradientScale)
          let first = beta1 * Double(m[i]) + (1 - beta1) * g
          let second = beta2 * Double(v[i]) + (1 - beta2) * g * g
          m[i] = Float(first)
          v[i] = Float(second)
          let update = learningRate / correction1 * first / (second.squareRoot() / correction2 + epsilon)
          parameters[i] = Float(Double(parameters[i]) * (1 - learningRate * weightDecay) - update)
        }
      }
    }
  }
}
