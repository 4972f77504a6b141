import Glibc
import Kernels
import TestSupport
import Testing

/// Either form in double.
private func gelu(_ form: GELU, _ x: Double) -> Double {
  switch form {
  case .tanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  case .erf: 0.5 * x * erfc(-x / 2.0.squareRoot())
  }
}

@Suite struct GELUTests {
  static let forms: [GELU] = [.tanh, .erf]
  static let counts = [1, 15, 16, 17, 60, 64, 768, 3072, 40_001]

  private static func forward(_ form: GELU, _ x: [Float], _ compute: Compute) -> [Float] {
    [Float](repeating: .nan, count: x.count).changed { form.forward(x, $0, count: x.count, compute) }
  }

  private static func backward(_ form: GELU, _ x: [Float], _ dy: [Float], _ compute: Compute) -> [Float] {
    dy.changed { form.backward(x, dy: $0, dx: $0, count: x.count, compute) }
  }

  @Test(arguments: forms, counts) func fastAgreesWithPlain(_ form: GELU, _ count: Int) {
    let (x, dy) = (noise(count, seed: 1, scale: 3), noise(count, seed: 2))
    let y = Self.forward(form, x, compute(.auto))
    #expect(largestError(y, Self.forward(form, x, compute(.plain))) < 1e-6)
    #expect(largestError(y, x.map { gelu(form, Double($0)) }) < 1e-6)
    let dx = Self.backward(form, x, dy, compute(.auto))
    #expect(largestError(dx, Self.backward(form, x, dy, compute(.plain))) < 3e-6)
    #expect(sameBits(y, Self.forward(form, x, compute(.auto, threads: 1))))
    #expect(sameBits(dx, Self.backward(form, x, dy, compute(.auto, threads: 1))))
  }

  @Test(arguments: forms, Engine.allCases)
  func backwardAgreesWithFiniteDifferences(_ form: GELU, _ engine: Engine) {
    let x = (0..<129).map { Float($0 - 64) / 12 }
    let dy = noise(x.count, seed: 3)
    let expected = finiteDifferences(at: x) { weighted($0.map { gelu(form, $0) }, dy) }
    #expect(largestError(Self.backward(form, x, dy, compute(engine)), expected) < 2e-6)
  }

  /// Far out it is x on the right and 0 on the left, with the slopes 1 and 0.
  @Test(arguments: forms, Engine.allCases) func saturates(_ form: GELU, _ engine: Engine) {
    let x: [Float] = [-1e4, -100, -20, 0, 20, 100, 1e4]
    let y = Self.forward(form, x, compute(engine))
    let dx = Self.backward(form, x, [Float](repeating: 2, count: x.count), compute(engine))
    for (index, limit) in [0, 0, 0, 0, 20, 100, 1e4].enumerated() {
      #expect(abs(y[index] - Float(limit)) < 1e-30)
    }
    for (index, limit) in [0, 0, 0, 1, 2, 2, 2].enumerated() { #expect(abs(dx[index] - Float(limit)) < 1e-6) }
    #expect(Self.forward(form, [.nan, 1], compute(engine))[0].isNaN)
  }

  /// The left tail is not the rest of a subtraction.
  @Test func smallValuesAreRelativelyExact() {
    let x = (0..<80).map { -Float($0) / 10 }
    for (own, x) in zip(Self.forward(.erf, x, compute(.auto)), x) {
      let expected = gelu(.erf, Double(x))
      #expect(abs(Double(own) - expected) <= 1e-5 * abs(expected), "\(x)")
    }
  }
}
