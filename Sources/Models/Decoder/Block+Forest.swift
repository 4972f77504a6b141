import Core
import Kernels

extension Block {
  /// What the rows of a forest attend to inside the block's own [N, Q] activations: a run for each segment, or for each
  /// group of neighbours among a segment's selected rows.
  func forestRuns(_ batch: Batch, _ activations: Activations, selected: [Int]?) -> [AttentionRun] {
    let stride = attention.columns
    let base = activations.attention.queriesKeysValues.pointer
    func span(_ rows: Range<Int>, causalOffset: Int) -> KeySpan {
      let offset = rows.lowerBound * stride
      return KeySpan(
        keys: base + offset + attention.keyOffset, values: base + offset + attention.valueOffset,
        count: rows.count, stride: stride, causalOffset: causalOffset, firstRow: rows.lowerBound)
    }
    var runs: [AttentionRun] = []
    var firstRow = 0
    for (rows, segment) in Self.queries(batch, selected) {
      let own = batch.segments[segment].rows.lowerBound
      let position = batch.segments[segment].startPosition + rows.lowerBound - own
      let ancestors = batch.ancestors(of: segment).map {
        span(batch.segments[$0].rows, causalOffset: position - batch.segments[$0].startPosition)
      }
      // No query sees a key after the last of them.
      let last = span(own..<rows.upperBound, causalOffset: rows.lowerBound - own)
      runs.append(
        AttentionRun(firstRow: firstRow, queryRow: rows.lowerBound, rows: rows.count, spans: ancestors + [last]))
      firstRow += rows.count
    }
    return runs
  }

  /// Neighbouring rows that are queries, with their segment, in order.
  private static func queries(_ batch: Batch, _ selected: [Int]?) -> [(rows: Range<Int>, segment: Int)] {
    guard let selected else { return batch.segments.indices.map { (batch.segments[$0].rows, $0) } }
    var result: [(rows: Range<Int>, segment: Int)] = []
    var segment = 0
    for row in selected {
      if let last = result.last, last.rows.upperBound == row, batch.segments[segment].rows.contains(row) {
        result[result.count - 1].rows = last.rows.lowerBound..<row + 1
        continue
      }
      while !batch.segments[segment].rows.contains(row) { segment += 1 }
      result.append((row..<row + 1, segment))
    }
    return result
  }
}
