import Glibc
import Kernels
import TestSupport
import Testing

/// The tanh form in double.
private func gelu(_ x: Double) -> Double {
  0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
}

@Suite struct GELUTests {
  static let counts = [1, 15, 16, 17, 60, 64, 768, 3072, 40_001]

  private static func forward(_ x: [Float], _ compute: Compute) -> [Float] {
    [Float](repeating: .nan, count: x.count).changed { GELU.forward(x, $0, count: x.count, compute) }
  }

  private static func backward(_ x: [Float], _ dy: [Float], _ compute: Compute) -> [Float] {
    dy.changed { GELU.backward(x, dy: $0, dx: $0, count: x.count, compute) }
  }

  @Test(arguments: counts) func fastAgreesWithPlain(_ count: Int) {
    let (x, dy) = (noise(count, seed: 1, scale: 3), noise(count, seed: 2))
    let y = Self.forward(x, compute(.auto))
    #expect(largestError(y, Self.forward(x, compute(.plain))) < 1e-6)
    #expect(largestError(y, x.map { gelu(Double($0)) }) < 1e-6)
    let dx = Self.backward(x, dy, compute(.auto))
    #expect(largestError(dx, Self.backward(x, dy, compute(.plain))) < 3e-6)
    #expect(sameBits(y, Self.forward(x, compute(.auto, threads: 1))))
    #expect(sameBits(dx, Self.backward(x, dy, compute(.auto, threads: 1))))
  }

  @Test(arguments: Engine.allCases) func backwardAgreesWithFiniteDifferences(_ engine: Engine) {
    let x = (0..<129).map { Float($0 - 64) / 12 }
    let dy = noise(x.count, seed: 3)
    let expected = finiteDifferences(at: x) { weighted($0.map(gelu), dy) }
    #expect(largestError(Self.backward(x, dy, compute(engine)), expected) < 2e-6)
  }

  /// Far out it is x on the right and 0 on the left, with the slopes 1 and 0.
  @Test(arguments: Engine.allCases) func saturates(_ engine: Engine) {
    let x: [Float] = [-1e4, -100, -20, 0, 20, 100, 1e4]
    let y = Self.forward(x, compute(engine))
    let dx = Self.backward(x, [Float](repeating: 2, count: x.count), compute(engine))
    for (index, limit) in [0, 0, 0, 0, 20, 100, 1e4].enumerated() {
      #expect(abs(y[index] - Float(limit)) < 1e-30)
    }
    for (index, limit) in [0, 0, 0, 1, 2, 2, 2].enumerated() { #expect(abs(dx[index] - Float(limit)) < 1e-6) }
    #expect(Self.forward([.nan, 1], compute(engine))[0].isNaN)
  }
}
