import Kernels

/// The slope of `loss` when the parameters of `range` go along their own gradient, where it is the gradient's norm, and that
/// norm. By the five-point formula, whose error is of the step's fourth power; the parameters are as before afterwards.
func ownSlope(
  _ range: Range<Int>, of parameters: FloatBuffer, _ gradient: [Float], step: Double, _ loss: () -> Double
) -> (slope: Double, norm: Double) {
  let values = range.map { parameters.pointer[$0] }
  let norm = gradient[range].reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  func lossAfter(_ step: Double) -> Double {
    for (i, value) in zip(range, values) {
      parameters.pointer[i] = Float(Double(value) + step * Double(gradient[i]) / norm)
    }
    defer { for (i, value) in zip(range, values) { parameters.pointer[i] = value } }
    return loss()
  }
  let slope = 8 * (lossAfter(step) - lossAfter(-step)) - (lossAfter(2 * step) - lossAfter(-2 * step))
  return (slope / (12 * step), norm)
}
