import CKernels
import Core

extension KeySpan.Gradients {
  var number: Int32 {
    switch self {
    case .all: Int32(SFT_ALL_GRADIENTS)
    case .queries: Int32(SFT_QUERY_GRADIENTS)
    case .keys: Int32(SFT_KEY_GRADIENTS)
    }
  }
}

extension KeySpan {
  /// Rows of keys, among all rows.
  var rows: Range<Int> { firstRow..<firstRow + count }

  /// Some of the keys.
  func part(_ keys: Range<Int>, gradientStride: Int = 0) -> KeySpan {
    var part = self
    part.keys += keys.lowerBound * stride
    part.values += keys.lowerBound * stride
    part.count = keys.count
    part.firstRow += keys.lowerBound
    if causalOffset != Self.everything { part.causalOffset -= keys.lowerBound }
    return part
  }
}

extension AttentionRun {
  /// Queries, and keys, that are computed with at a time.
  static let tile = Int(SFT_PANEL)

  /// Parts of at most so many rows, a multiple of a tile: the same tiles as before.
  func cut(_ most: Int) -> [AttentionRun] {
    if rows <= most { return [self] }
    return stride(from: 0, to: rows, by: most).map { first in
      var part = self
      part.firstRow += first
      part.queryRow += first
      part.rows = min(most, rows - first)
      for index in spans.indices where spans[index].causalOffset != KeySpan.everything {
        part.spans[index].causalOffset += first
      }
      return part
    }
  }

  /// Products of a query and a key, about, times how many of five matrix products have to be made of them.
  func work(_ gradients: KeySpan.Gradients? = nil) -> Double {
    spans.reduce(0) { sum, span in
      // From the first key to all that the last query sees.
      let isWhole = span.causalOffset == KeySpan.everything
      let last = isWhole ? span.count : min(span.count, max(0, span.causalOffset + rows))
      let first = isWhole ? span.count : min(last, max(0, span.causalOffset + 1))
      let products: Double =
        switch gradients ?? span.gradients {
        case .all: 5
        case .queries: 3
        case .keys: 4
        }
      return sum + products * Double(rows) * Double(first + last) / 2
    }
  }
}
