import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct RotaryTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var heads = 2
    var headWidth: Int
    /// Pairs that turn.
    var half: Int
    var amplitude = 1.0
    var testDescription: String { "\(heads)×\(headWidth), \(half) pairs, × \(amplitude)" }

    static let positions = [0, 7, 3, 3, 90, 1, 4000]
    var rows: Int { Self.positions.count }
    var stride: Int { heads * headWidth + 5 }
    var frequencies: [Float] { (0..<half).map { 1 / powf(100, Float($0) / Float(half)) } }
    var x: [Float] { noise(rows * stride, seed: 1) }

    func rotated(_ x: [Float], rows selected: [Int]? = nil, back: Bool = false, _ compute: Compute) -> [Float] {
      let buffer = FloatBuffer()
      let angles = Rotary(frequencies: frequencies, amplitude: amplitude).angles(
        Self.positions, into: buffer, compute)
      defer { withExtendedLifetime(buffer) {} }
      return x.changed {
        angles.rotate(
          $0, stride: stride, heads: heads, headWidth: headWidth, count: rows, rows: selected, back: back, compute)
      }
    }

    /// Dimensions i and i + half as a complex number, multiplied by amplitude · exp(√−1 · position · frequency).
    func reference(_ x: [Float]) -> [Double] {
      var y = x.map(Double.init)
      for (row, position) in Self.positions.enumerated() {
        for head in 0..<heads {
          for i in 0..<half {
            let first = row * stride + head * headWidth + i
            // The angle is rounded to float32, as transformers has it.
            let angle = Double(Float(position) * frequencies[i])
            let (a, b) = (y[first], y[first + half])
            y[first] = amplitude * (a * cos(angle) - b * sin(angle))
            y[first + half] = amplitude * (b * cos(angle) + a * sin(angle))
          }
        }
      }
      return y
    }
  }

  static let cases = [
    Case(headWidth: 2, half: 1), Case(headWidth: 16, half: 8), Case(heads: 3, headWidth: 24, half: 12),
    Case(heads: 5, headWidth: 64, half: 32), Case(headWidth: 128, half: 64, amplitude: 1.3),
    Case(headWidth: 20, half: 5), Case(heads: 1, headWidth: 96, half: 36, amplitude: 0.7),
  ]

  @Test(arguments: cases, Engine.allCases) func pairsTurn(_ test: Case, _ engine: Engine) {
    let x = test.x
    let y = test.rotated(x, compute(engine))
    #expect(largestError(y, test.reference(x)) < 1e-6)
    // Position 0, dimensions that do not turn, and what lies between the rows.
    if test.amplitude == 1 { #expect(sameBits(Array(y.prefix(test.stride)), Array(x.prefix(test.stride)))) }
    for index in y.indices {
      let column = index % test.stride
      let turns = column < test.heads * test.headWidth && column % test.headWidth < 2 * test.half
      if !turns { #expect(y[index] == x[index]) }
    }
    #expect(sameBits(y, test.rotated(x, compute(engine, threads: 1))))
  }

  /// Back is the transpose: ⟨R x, y⟩ = ⟨x, Rᵀ y⟩; and at amplitude 1 the inverse.
  @Test(arguments: cases, Engine.allCases) func backIsTheTranspose(_ test: Case, _ engine: Engine) {
    let (x, y) = (test.x, noise(test.x.count, seed: 2))
    let forward = weighted(test.rotated(x, compute(engine)).map(Double.init), y)
    let back = weighted(x.map(Double.init), test.rotated(y, back: true, compute(engine)))
    #expect(abs(forward - back) < 1e-4)
    let there = test.rotated(test.rotated(x, compute(engine)), back: true, compute(engine))
    let turning = Float(test.amplitude * test.amplitude)
    for index in x.indices {
      let column = index % test.stride
      let turns = column < test.heads * test.headWidth && column % test.headWidth < 2 * test.half
      #expect(abs(there[index] - x[index] * (turns ? turning : 1)) < 1e-5)
    }
  }

  @Test(arguments: cases, Engine.allCases) func onlySomeRows(_ test: Case, _ engine: Engine) {
    let x = test.x
    let (all, some) = (test.rotated(x, compute(engine)), test.rotated(x, rows: [1, 4], compute(engine)))
    for row in 0..<test.rows {
      let range = row * test.stride..<(row + 1) * test.stride
      #expect(sameBits(Array(some[range]), Array([1, 4].contains(row) ? all[range] : x[range])))
    }
  }

  /// A query and a key see only how far they are apart.
  @Test func productsDependOnTheDistance() {
    let rotary = Rotary(frequencies: [1, 0.3, 0.01], amplitude: 1)
    let (query, key) = (noise(6, seed: 3), noise(6, seed: 4))
    func product(_ first: Int, _ second: Int) -> Float {
      let buffer = FloatBuffer()
      let angles = rotary.angles([first, second], into: buffer, compute(.auto))
      defer { withExtendedLifetime(buffer) {} }
      let both = (query + key).changed {
        angles.rotate($0, stride: 6, heads: 1, headWidth: 6, count: 2, compute(.auto))
      }
      return (0..<6).reduce(0) { $0 + both[$1] * both[6 + $1] }
    }
    #expect(abs(product(5, 2) - product(103, 100)) < 1e-4)
    #expect(abs(product(5, 2) - product(5, 3)) > 1e-2)
  }
}
