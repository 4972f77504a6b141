import Core

/// `count` seeded values of mean 0 and standard deviation `scale`: sums of twelve uniforms, so without far outliers.
public func noise(_ count: Int, seed: UInt64, scale: Double = 1) -> [Float] {
  var generator = SeededGenerator(seed: seed, stream: 0x6e6f_6973)
  return (0..<count).map { _ in
    let sum = (0..<12).reduce(0.0) { total, _ in total + generator.uniform() }
    return Float((sum - 6) * scale)
  }
}

/// The largest |a − b| relative to the largest |b|; infinite where one is not a number or the counts differ.
public func largestError<A: BinaryFloatingPoint, B: BinaryFloatingPoint>(_ a: [A], _ b: [B]) -> Double {
  guard a.count == b.count else { return .infinity }
  var (difference, magnitude) = (0.0, 0.0)
  for (left, right) in zip(a, b) {
    let distance = abs(Double(left) - Double(right))
    guard distance.isFinite else { return .infinity }
    difference = max(difference, distance)
    magnitude = max(magnitude, abs(Double(right)))
  }
  return difference == 0 ? 0 : difference / max(magnitude, 1e-30)
}

/// The same bits, which `==` does not say: it takes 0 for −0 and NaN for nothing.
public func sameBits(_ a: [Float], _ b: [Float]) -> Bool { a.map(\.bitPattern) == b.map(\.bitPattern) }

/// Σ cᵢ yᵢ with fixed coefficients: the scalar whose gradient with respect to y is `coefficients`.
public func weighted(_ y: [Double], _ coefficients: [Float]) -> Double {
  zip(y, coefficients).reduce(0) { $0 + $1.0 * Double($1.1) }
}

/// Central differences of a scalar function written in double, at every element of `x`.
public func finiteDifferences(at x: [Float], step: Double = 1e-5, of function: ([Double]) -> Double) -> [Double] {
  var point = x.map(Double.init)
  return point.indices.map { index in
    let middle = point[index]
    point[index] = middle + step
    let above = function(point)
    point[index] = middle - step
    let below = function(point)
    point[index] = middle
    return (above - below) / (2 * step)
  }
}
