import Kernels
import TestSupport
import Testing

@Suite struct RMSNormTests {
  static let epsilon: Float = 1e-5

  struct Case: Sendable, CustomTestStringConvertible {
    let (width, rows, groups): (Int, Int, Int)
    let offset: Float
    let sharesWeight: Bool
    /// Rows are further apart than they are long.
    let stride: Int
    let (x, weight, dy, before): ([Float], [Float], [Float], [Float])

    init(width: Int, rows: Int = 5, groups: Int = 1, offset: Float = 0, sharesWeight: Bool = true) {
      (self.width, self.rows, self.groups, self.offset) = (width, rows, groups, offset)
      self.sharesWeight = sharesWeight
      let stride = groups * width + 3
      self.stride = stride
      // Of different scales.
      x = noise(rows * stride, seed: 1).enumerated().map { $1 * Float(1 + $0 / stride % 5) + 0.5 }
      weight = noise(sharesWeight ? width : groups * width, seed: 2, scale: 0.3).map { $0 + 1 - offset }
      dy = noise(rows * stride, seed: 4)
      before = noise(rows * stride, seed: 5)
    }

    var testDescription: String { "\(rows)×\(groups)×\(width) + \(offset) \(sharesWeight)" }

    private var norm: RMSNorm {
      RMSNorm(groups: groups, width: width, epsilon: epsilon, offset: offset, sharesWeight: sharesWeight)
    }

    /// y in its rows, 0.5 in the gaps, and rstd.
    func forward(_ compute: Compute, inPlace: Bool = false) -> (y: [Float], rstd: [Float]) {
      var y = inPlace ? x : [Float](repeating: 0.5, count: rows * stride)
      let rstd = [Float](repeating: .nan, count: rows * groups).changed { rstd in
        y = y.changed { y in
          if inPlace {
            norm.forward(y, stride: stride, weight: weight, y, yStride: stride, rstd: rstd, rows: rows, compute)
          } else {
            norm.forward(x, stride: stride, weight: weight, y, yStride: stride, rstd: rstd, rows: rows, compute)
          }
        }
      }
      return (y, rstd)
    }

    /// The gradient added to `before`, or written over it, or over dy itself.
    func backward(_ compute: Compute, accumulate: Bool, inPlace: Bool = false) -> [Float] {
      let rstd = forward(compute).rstd
      return (inPlace ? dy : before).changed { dx in
        let (upstream, own) = (dy, Floats(dx))
        upstream.withUnsafeBufferPointer { upstream in
          guard let other = upstream.baseAddress else { return }
          norm.backward(
            x, stride: stride, weight: weight, rstd: rstd, dy: inPlace ? own : other, dyStride: stride, dx: dx,
            dxStride: stride, accumulate: accumulate, rows: rows, compute)
        }
      }
    }

    /// The gradient added to 0.25.
    func backwardWeight(_ compute: Compute) -> [Float] {
      let rstd = forward(compute).rstd
      return [Float](repeating: 0.25, count: weight.count).changed {
        norm.backwardWeight(
          x, stride: stride, rstd: rstd, dy: dy, dyStride: stride, dweight: $0, rows: rows, compute)
      }
    }

    /// The formula in double, with the gaps of `forward`.
    func reference(_ x: [Double], _ weight: [Double]) -> [Double] {
      var y = [Double](repeating: 0.5, count: rows * stride)
      for row in 0..<rows {
        for group in 0..<groups {
          let first = row * stride + group * width
          let squares = (first..<first + width).reduce(0) { $0 + x[$1] * x[$1] }
          let inverse = 1 / (squares / Double(width) + Double(epsilon)).squareRoot()
          for i in 0..<width {
            y[first + i] = x[first + i] * inverse * (weight[(sharesWeight ? 0 : group * width) + i] + Double(offset))
          }
        }
      }
      return y
    }

    /// Which places are inside rows.
    func isInside(_ index: Int) -> Bool { index % stride < groups * width }
  }

  static let cases =
    [1, 2, 15, 16, 17, 60, 64, 768].map { Case(width: $0) }
    + [
      Case(width: 33, rows: 1), Case(width: 24, rows: 40, groups: 3), Case(width: 17, groups: 4, offset: 1),
      Case(width: 16, groups: 4, sharesWeight: false), Case(width: 64, rows: 33, offset: 1),
      Case(width: 80, rows: 3, groups: 2, offset: 1, sharesWeight: false),
    ]

  @Test(arguments: cases, Engine.allCases) func forwardIsTheFormula(_ test: Case, _ engine: Engine) {
    let expected = test.reference(test.x.map(Double.init), test.weight.map(Double.init))
    let result = test.forward(compute(engine))
    #expect(largestError(result.y, expected) < 1e-6)
    #expect(result.y.indices.allSatisfy { test.isInside($0) || result.y[$0] == 0.5 })
    let inPlace = test.forward(compute(engine), inPlace: true)
    #expect(result.y.indices.allSatisfy { inPlace.y[$0] == (test.isInside($0) ? result.y[$0] : test.x[$0]) })
    #expect(sameBits(result.y, test.forward(compute(engine, threads: 1)).y))
  }

  @Test(arguments: cases, Engine.allCases) func backwardAgreesWithFiniteDifferences(_ test: Case, _ engine: Engine) {
    let (x, weight, dy) = (test.x.map(Double.init), test.weight.map(Double.init), test.dy)
    let added = test.backward(compute(engine), accumulate: true)
    let written = test.backward(compute(engine), accumulate: false)
    #expect(sameBits(added, test.backward(compute(engine, threads: 1), accumulate: true)))
    if test.x.count <= 400 {
      let expected = finiteDifferences(at: test.x) { weighted(test.reference($0, weight), dy) }
      let inside = expected.indices.filter { test.isInside($0) }
      // A group of one element is its sign, whose slope is all but nothing.
      #expect(largestError(inside.map { written[$0] }, inside.map { expected[$0] }) < (test.width < 2 ? 1e-2 : 1e-5))
      let direct = finiteDifferences(at: test.weight) { weighted(test.reference(x, $0), dy) }
      #expect(largestError(test.backwardWeight(compute(engine)).map { $0 - 0.25 }, direct) < 1e-5)
    }
    let inPlace = test.backward(compute(engine), accumulate: false, inPlace: true)
    for index in added.indices where test.isInside(index) {
      #expect(abs(added[index] - test.before[index] - written[index]) < 1e-5)
      #expect(inPlace[index] == written[index])
    }
    #expect(added.indices.allSatisfy { test.isInside($0) || added[$0] == test.before[$0] })
  }

  @Test(arguments: cases) func fastAgreesWithPlain(_ test: Case) {
    let (fast, plain) = (compute(.auto), compute(.plain))
    #expect(largestError(test.forward(fast).rstd, test.forward(plain).rstd) < 1e-6)
    #expect(
      largestError(test.backward(fast, accumulate: true), test.backward(plain, accumulate: true))
        < (test.width < 3 ? 1e-3 : 1e-5))
    #expect(largestError(test.backwardWeight(fast), test.backwardWeight(plain)) < 1e-5)
    #expect(sameBits(test.backwardWeight(fast), test.backwardWeight(compute(.auto, threads: 1))))
  }
}
