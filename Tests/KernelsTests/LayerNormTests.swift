import Kernels
import TestSupport
import Testing

@Suite struct LayerNormTests {
  static let epsilon: Float = 1e-5
  static let widths = [1, 2, 15, 16, 17, 60, 64, 768]

  /// N rows of width C, with a mean far from 0 and different scales.
  struct Inputs {
    let (rows, width): (Int, Int)
    let (x, weight, bias, dy, before): ([Float], [Float], [Float], [Float], [Float])

    init(rows: Int, width: Int) {
      (self.rows, self.width) = (rows, width)
      x = noise(rows * width, seed: 1).enumerated().map { $1 * Float(1 + $0 / width % 5) + 3 }
      weight = noise(width, seed: 2, scale: 0.3).map { $0 + 1 }
      bias = noise(width, seed: 3)
      dy = noise(rows * width, seed: 4)
      before = noise(rows * width, seed: 5)
    }

    /// y, mean and rstd one after the other.
    func forward(_ compute: Compute) -> [Float] {
      [Float](repeating: .nan, count: rows * width + 2 * rows).changed { y in
        LayerNorm.forward(
          x, weight: weight, bias: bias, epsilon: epsilon, y: y, mean: y + rows * width, rstd: y + rows * width + rows,
          rows: rows, width: width, compute)
      }
    }

    /// The first elements of `before`, with the gradients of weight and bias added.
    func backwardParameters(_ compute: Compute) -> [Float] {
      let statistics = Array(forward(compute)[(rows * width)...])
      let padded = before + [Float](repeating: 0.25, count: 2 * width)
      return statistics.withUnsafeBufferPointer { statistics in
        guard let mean = statistics.baseAddress else { return [] }
        return Array(
          Array(padded.prefix(2 * width)).changed { parameters in
            LayerNorm.backwardParameters(
              x, mean: mean, rstd: mean + rows, dy: dy, dweight: parameters, dbias: parameters + width, rows: rows,
              width: width, compute)
          })
      }
    }

    /// `before`, with the gradient added.
    func backward(_ compute: Compute) -> [Float] {
      let statistics = Array(forward(compute)[(rows * width)...])
      return statistics.withUnsafeBufferPointer { statistics in
        guard let mean = statistics.baseAddress else { return [] }
        return before.changed { dx in
          LayerNorm.backward(
            x, weight: weight, mean: mean, rstd: mean + rows, dy: dy, dx: dx, rows: rows, width: width, compute)
        }
      }
    }
  }

  @Test(arguments: widths, [1, 3, 33]) func parameterGradientsAgree(_ width: Int, _ rows: Int) {
    let inputs = Inputs(rows: rows, width: width)
    let (fast, plain) = (inputs.backwardParameters(compute(.auto)), inputs.backwardParameters(compute(.plain)))
    // What is added to, and sums that cancel, may be larger than the result.
    #expect(largestError(fast, plain) < (width == 1 ? 1e-3 : 1e-5))
    #expect(sameBits(fast, inputs.backwardParameters(compute(.auto, threads: 1))))
  }

  @Test(arguments: Engine.allCases, [3, 16, 60]) func parameterGradientsAgreeWithFiniteDifferences(
    _ engine: Engine, _ width: Int
  ) {
    let inputs = Inputs(rows: 5, width: width)
    let x = inputs.x.map(Double.init)
    func function(_ parameters: [Double]) -> [Double] {
      (0..<5).flatMap { row -> [Double] in
        let values = x[row * width..<(row + 1) * width]
        let mean = values.reduce(0, +) / Double(width)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        return values.enumerated().map { index, value in
          (value - mean) / (variance + Double(Self.epsilon)).squareRoot() * parameters[index]
            + parameters[width + index]
        }
      }
    }
    let expected = finiteDifferences(at: inputs.weight + inputs.bias) { weighted(function($0), inputs.dy) }
    let actual = zip(inputs.backwardParameters(compute(engine)), inputs.before).map { $0 - $1 }
    #expect(largestError(actual, expected) < 1e-5)
  }

  @Test(arguments: widths, [1, 3, 33]) func fastAgreesWithPlain(_ width: Int, _ rows: Int) {
    let inputs = Inputs(rows: rows, width: width)
    let y = inputs.forward(compute(.auto))
    // A row of one element has no variance: rstd is 1/√ε, and rounding of the mean is as much larger.
    let bound = width == 1 ? 1e-4 : 1e-5
    #expect(largestError(y, inputs.forward(compute(.plain))) < bound)
    let dx = inputs.backward(compute(.auto))
    #expect(largestError(dx, inputs.backward(compute(.plain))) < (width <= 2 ? 1e-3 : 1e-5))
    #expect(sameBits(y, inputs.forward(compute(.auto, threads: 1))))
    #expect(sameBits(dx, inputs.backward(compute(.auto, threads: 1))))
  }

  @Test(arguments: Engine.allCases, [3, 16, 60]) func agreesWithDouble(_ engine: Engine, _ width: Int) {
    let inputs = Inputs(rows: 3, width: width)
    func function(_ x: [Double]) -> [Double] {
      (0..<3).flatMap { row -> [Double] in
        let values = x[row * width..<(row + 1) * width]
        let mean = values.reduce(0, +) / Double(width)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        return values.enumerated().map { index, value in
          let normal = (value - mean) / (variance + Double(Self.epsilon)).squareRoot()
          return normal * Double(inputs.weight[index]) + Double(inputs.bias[index])
        }
      }
    }
    let y = Array(inputs.forward(compute(engine)).prefix(3 * width))
    #expect(largestError(y, function(inputs.x.map(Double.init))) < 1e-6)
    let expected = finiteDifferences(at: inputs.x) { weighted(function($0), inputs.dy) }
    let actual = zip(inputs.backward(compute(engine)), inputs.before).map { $0 - $1 }
    #expect(largestError(actual, expected) < 1e-5)
  }
}
