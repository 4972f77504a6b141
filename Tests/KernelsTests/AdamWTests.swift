import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct AdamWTests {
  struct Moments: Equatable { var (parameters, m, v): ([Float], [Float], [Float]) }

  static let rates = [1e-2, 3e-3, 0, 1e-1, 1e-5, 1e-3]
  static let (beta1, beta2, epsilon, decay) = (0.9, 0.999, 1e-8, 0.01)

  static func gradients(_ count: Int, step: Int) -> [Float] {
    // Of very different sizes, some of them 0.
    noise(count, seed: UInt64(100 + step)).enumerated().map { index, value in
      index % 7 == 0 ? 0 : value * Float(pow(10, Double(index % 9) - 6))
    }
  }

  private static func run(_ count: Int, scale: Float, _ compute: Compute) -> Moments {
    var state = Moments(
      parameters: noise(count, seed: 1), m: [Float](repeating: 0, count: count), v: [Float](repeating: 0, count: count))
    for (index, rate) in rates.enumerated() {
      let update = AdamWStep(
        gradientScale: scale, learningRate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay,
        step: index + 1)
      state.parameters.withUnsafeMutableBufferPointer { parameters in
        state.m.withUnsafeMutableBufferPointer { m in
          state.v.withUnsafeMutableBufferPointer { v in
            guard let p = parameters.baseAddress, let m = m.baseAddress, let v = v.baseAddress else { return }
            update.apply(p, gradients: gradients(count, step: index), m: m, v: v, count: count, compute)
          }
        }
      }
    }
    return state
  }

  /// `torch.optim.AdamW`'s algorithm as its documentation writes it, in double throughout.
  private static func reference(_ count: Int, scale: Double) -> [Double] {
    var theta = noise(count, seed: 1).map(Double.init)
    var (m, v) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
    for (index, rate) in rates.enumerated() {
      let (t, g) = (Double(index + 1), gradients(count, step: index).map { Double($0) * scale })
      for i in 0..<count {
        theta[i] -= rate * decay * theta[i]
        m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i]
        let (mHat, vHat) = (m[i] / (1 - pow(beta1, t)), v[i] / (1 - pow(beta2, t)))
        theta[i] -= rate * mHat / (vHat.squareRoot() + epsilon)
      }
    }
    return theta
  }

  @Test(arguments: [1, 15, 16, 17, 60, 64, 768, 40_001], [Float(1), 0.25])
  func agreesWithPyTorchsFormula(_ count: Int, scale: Float) {
    let (fast, plain) = (Self.run(count, scale: scale, compute(.auto)), Self.run(count, scale: scale, compute(.plain)))
    let expected = Self.reference(count, scale: Double(scale))
    for index in 0..<count {
      #expect(abs(Double(fast.parameters[index]) - expected[index]) < 2e-6)
      #expect(abs(Double(plain.parameters[index]) - expected[index]) < 1e-6)
    }
    #expect(largestError(fast.m, plain.m) < 1e-6 && largestError(fast.v, plain.v) < 1e-6)
    #expect(fast == Self.run(count, scale: scale, compute(.auto, threads: 1)))
  }

  /// The first update of a parameter goes by the learning rate, whatever the gradient's size.
  @Test(arguments: Engine.allCases) func firstStepIsTheRate(_ engine: Engine) {
    let gradients: [Float] = [1e-3, -5, 700, -1e-4]
    let after = [Float](repeating: 1, count: 4).changed { parameters in
      var (m, v) = ([Float](repeating: 0, count: 4), [Float](repeating: 0, count: 4))
      AdamWStep(learningRate: 0.01, beta1: 0.9, beta2: 0.999, weightDecay: 0, step: 1)
        .apply(parameters, gradients: gradients, m: &m, v: &v, count: 4, compute(engine))
    }
    for (value, expected) in zip(after, [0.99, 1.01, 0.99, 1.01] as [Float]) { #expect(abs(value - expected) < 2e-6) }
  }
}
