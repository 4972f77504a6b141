import Kernels
import Models

/// AdamW's moments of every trained parameter.
final class OptimizerState {
  let m: FloatBuffer
  let v: FloatBuffer
  let count: Int

  init(count: Int) {
    self.count = count
    m = FloatBuffer(count)
    v = FloatBuffer(count)
  }

  /// Clips the gradients of `pass` to `settings.maxGradientNorm` as `torch.nn.utils.clip_grad_norm_` does, and updates the
  /// adapter. `step` is 1-based. Returns the norm before clipping; does nothing but that where it is not finite.
  func update(_ pass: TrainingPass, settings: TrainingSettings, step: Int) -> Double {
    let norm = Elementwise.sumOfSquares(pass.gradients.pointer, count: count).squareRoot()
    guard norm.isFinite else { return norm }
    let limit = settings.maxGradientNorm
    let update = AdamWStep(
      gradientScale: limit > 0 ? Float(min(1, limit / (norm + 1e-6))) : 1,
      learningRate: settings.schedule.rate(at: step - 1, of: settings.steps), beta1: settings.beta1,
      beta2: settings.beta2, weightDecay: settings.weightDecay, step: step)
    update.apply(
      pass.adapter.parameters.pointer, gradients: pass.gradients.pointer, m: m.pointer, v: v.pointer, count: count,
      pass.compute)
    return norm
  }
}
