import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct GatedActivationTests {
  static let activations: [GatedActivation] = [.silu, .geluTanh, .geluErf]
  static let sizes = [(1, 1), (3, 15), (2, 16), (5, 17), (4, 64), (7, 100), (30, 768)]

  private static func value(_ activation: GatedActivation, _ x: Double) -> Double {
    switch activation {
    case .silu: x / (1 + exp(-x))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .geluErf: 0.5 * x * erfc(-x / 2.0.squareRoot())
    }
  }

  /// act(gate) · up of rows [gate | up], in double.
  private static func reference(_ activation: GatedActivation, _ x: [Double], width: Int) -> [Double] {
    (0..<x.count / 2).map { index in
      let place = index / width * 2 * width + index % width
      return value(activation, x[place]) * x[place + width]
    }
  }

  private static func forward(_ activation: GatedActivation, _ x: [Float], width: Int, _ compute: Compute) -> [Float] {
    [Float](repeating: .nan, count: x.count / 2).changed {
      activation.forward(x, $0, rows: x.count / width / 2, width: width, compute)
    }
  }

  private static func backward(
    _ activation: GatedActivation, _ x: [Float], _ dy: [Float], width: Int, _ compute: Compute
  ) -> [Float] {
    [Float](repeating: .nan, count: x.count).changed {
      activation.backward(x, dy: dy, dx: $0, rows: x.count / width / 2, width: width, compute)
    }
  }

  @Test(arguments: activations, sizes) func fastAgreesWithPlain(_ activation: GatedActivation, _ size: (Int, Int)) {
    let (rows, width) = size
    let (x, dy) = (noise(rows * 2 * width, seed: 1, scale: 3), noise(rows * width, seed: 2))
    let y = Self.forward(activation, x, width: width, compute(.auto))
    #expect(largestError(y, Self.forward(activation, x, width: width, compute(.plain))) < 1e-6)
    #expect(largestError(y, Self.reference(activation, x.map(Double.init), width: width)) < 1e-6)
    let dx = Self.backward(activation, x, dy, width: width, compute(.auto))
    #expect(largestError(dx, Self.backward(activation, x, dy, width: width, compute(.plain))) < 3e-6)
    #expect(sameBits(y, Self.forward(activation, x, width: width, compute(.auto, threads: 1))))
    #expect(sameBits(dx, Self.backward(activation, x, dy, width: width, compute(.auto, threads: 1))))
  }

  @Test(arguments: activations, Engine.allCases)
  func backwardAgreesWithFiniteDifferences(_ activation: GatedActivation, _ engine: Engine) {
    let (x, dy) = (noise(4 * 34, seed: 3, scale: 2), noise(4 * 17, seed: 4))
    let expected = finiteDifferences(at: x) { weighted(Self.reference(activation, $0, width: 17), dy) }
    #expect(largestError(Self.backward(activation, x, dy, width: 17, compute(engine)), expected) < 2e-6)
  }

  /// Far out the gate is itself on the right and 0 on the left, with the slopes 1 and 0.
  @Test(arguments: activations, Engine.allCases) func saturates(_ activation: GatedActivation, _ engine: Engine) {
    let gates: [Float] = [-1e4, -200, 200, 1e4]
    let x = gates + [2, 2, 2, 2]
    #expect(
      zip(Self.forward(activation, x, width: 4, compute(engine)), [0, 0, 400, 2e4]).allSatisfy { abs($0 - $1) < 1e-30 })
    let dx = Self.backward(activation, x, [1, 1, 1, 1], width: 4, compute(engine))
    for (index, limit) in [0, 0, 2, 2, 0, 0, 200, 1e4].enumerated() { #expect(abs(dx[index] - Float(limit)) < 1e-6) }
    #expect(Self.forward(activation, [.nan, 1], width: 1, compute(engine))[0].isNaN)
  }
}
