import Kernels

/// Gradients of the shares that this process has of an update, summed as far as they can be without those of others.
///
/// With one share nothing is copied. With more, as many sums are kept at a time as the shares' number has binary digits.
package final class ShareSums {
  private let tree: ShareTree
  private let count: Int
  private var kept: [(range: Range<Int>, values: FloatBuffer)] = []
  private var free: [FloatBuffer] = []
  /// The sums, in order, once the last share was added; the last of them is in the memory that the last share came in.
  package private(set) var parts: [(range: Range<Int>, values: MutableFloats)] = []

  /// Sums of `count` values.
  package init(_ tree: ShareTree, count: Int) { (self.tree, self.count) = (tree, count) }

  /// Begins with another update.
  package func clear() {
    free += kept.map(\.values)
    kept = []
    parts = []
  }

  /// Takes up the gradient of a share, which is in `values`, where it is added to. Shares come in order.
  package func add(_ share: Int, _ values: MutableFloats, isLast: Bool, _ compute: Compute) {
    var range = share..<share + 1
    while let left = kept.last, tree.areHalves(left.range, range) {
      // In floating point too, a + b is b + a.
      Elementwise.add(Floats(left.values.pointer), to: Floats(values), into: values, count: count, compute)
      free.append(left.values)
      kept.removeLast()
      range = left.range.lowerBound..<range.upperBound
    }
    if isLast {
      parts = kept.map { ($0.range, $0.values.pointer) } + [(range, values)]
    } else {
      let copy = free.popLast() ?? FloatBuffer(count)
      Elementwise.scale(Floats(values), by: 1, into: copy.pointer, count: count, compute)
      kept.append((range, copy))
    }
  }
}
