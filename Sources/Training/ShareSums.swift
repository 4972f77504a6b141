import Kernels

/// Gradients of the shares that this process has of an update, summed as far as they can be without those of others.
///
/// With one share nothing is copied. With more, as many sums are kept at a time as the shares' number has binary digits.
package final class ShareSums {
  private let tree: ShareTree
  private let count: Int
  private var kept: [(range: Range<Int>, values: FloatBuffer)] = []
  private var free: [FloatBuffer] = []
  /// What is to be added to the last share, in order.
  private var merging: [FloatBuffer] = []
  /// The sums, in order, once the last share was announced; the last of them is in the memory that the last share came in.
  package private(set) var parts: [(range: Range<Int>, values: MutableFloats)] = []

  /// Sums of `count` values.
  package init(_ tree: ShareTree, count: Int) { (self.tree, self.count) = (tree, count) }

  /// Begins with another update.
  package func clear() {
    free += kept.map(\.values) + merging
    (kept, merging) = ([], [])
    parts = []
  }

  /// Takes up the gradient of a share that is not the last, which is in `values`, where it is added to. Shares come in order.
  package func add(_ share: Int, _ values: MutableFloats, _ compute: Compute) {
    var range = share..<share + 1
    while let left = kept.last, tree.areHalves(left.range, range) {
      // In floating point too, a + b is b + a.
      Elementwise.add(Floats(left.values.pointer), to: Floats(values), into: values, count: count, compute)
      free.append(left.values)
      kept.removeLast()
      range = left.range.lowerBound..<range.upperBound
    }
    let copy = free.popLast() ?? FloatBuffer(count)
    Elementwise.scale(Floats(values), by: 1, into: copy.pointer, count: count, compute)
    kept.append((range, copy))
  }

  /// Announces the last share, whose gradient will be in `values`; `complete` says what of it is.
  package func addLast(_ share: Int, _ values: MutableFloats) {
    var range = share..<share + 1
    while let left = kept.last, tree.areHalves(left.range, range) {
      merging.append(left.values)
      kept.removeLast()
      range = left.range.lowerBound..<range.upperBound
    }
    parts = kept.map { ($0.range, $0.values.pointer) } + [(range, values)]
  }

  /// The last share's gradient is final in `range`: after this, so are the sums there. Ranges may not overlap.
  package func complete(_ range: Range<Int>, _ compute: Compute) {
    guard let values = parts.last?.values, !range.isEmpty else { return }
    let place = values + range.lowerBound
    for left in merging {
      Elementwise.add(
        Floats(left.pointer + range.lowerBound), to: Floats(place), into: place, count: range.count, compute)
    }
  }
}
