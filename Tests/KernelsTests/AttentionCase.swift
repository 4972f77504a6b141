import CKernels
import Glibc
import Kernels
import TestSupport
import Testing

/// An attention problem: runs of queries over one activation buffer of N rows, and perhaps rows of keys and values that
/// come before them. H query heads, K key/value heads, D head width.
struct AttentionCase: CustomTestStringConvertible, Sendable {
  /// A run's rows, and the runs that it sees whole.
  struct Segment: Sendable {
    var rows: Range<Int>
    var ancestors: [Int] = []
  }

  var heads = 2
  var keyValueHeads = 2
  var headWidth = 16
  var segments: [Segment]
  /// Rows of keys and values in one span before and among the queries, as a cache has them; 0 for a forest.
  var past = 0
  /// On the attention weights, of probability 0.3.
  var hasDropout = false
  /// Keys that a query sees, itself among them.
  var window: Int?
  var cap: Float?
  /// 1/√headWidth unless given.
  var scale: Float?

  /// One segment of `length`, or queries of `length` behind a cache of `past`.
  static func sequence(
    _ length: Int, past: Int = 0, heads: Int = 2, keyValueHeads: Int = 2, headWidth: Int = 16
  ) -> AttentionCase {
    AttentionCase(
      heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, segments: [Segment(rows: 0..<length)],
      past: past)
  }

  /// Segments of these lengths one after the other, with these parents.
  static func forest(
    _ lengths: [Int], parents: [Int?], heads: Int = 2, keyValueHeads: Int = 2, headWidth: Int = 16
  ) -> AttentionCase {
    var segments: [Segment] = []
    for (length, parent) in zip(lengths, parents) {
      let first = segments.last?.rows.upperBound ?? 0
      let ancestors = parent.map { segments[$0].ancestors + [$0] } ?? []
      segments.append(Segment(rows: first..<first + length, ancestors: ancestors))
    }
    return AttentionCase(heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, segments: segments)
  }

  var testDescription: String {
    "H\(heads) K\(keyValueHeads) D\(headWidth) \(segments.map { "\($0.rows.count)/\($0.ancestors)" }) past \(past)"
      + (hasDropout ? " dropout" : "") + (window.map { " window \($0)" } ?? "") + (cap.map { " cap \($0)" } ?? "")
  }

  var rows: Int { segments.last?.rows.upperBound ?? 0 }
  /// Columns of queries, keys and values, and a few that are nobody's.
  var stride: Int { (heads + 2 * keyValueHeads) * headWidth + 3 }
  var keyColumn: Int { heads * headWidth }
  var valueColumn: Int { keyColumn + keyValueHeads * headWidth }

  /// [past + N, stride]: the past rows' queries are not used.
  var inputs: [Float] { noise((past + rows) * stride, seed: 21, scale: 1.5) }
  /// [N, H·D].
  var upstream: [Float] { noise(rows * heads * headWidth, seed: 22) }

  struct Result {
    var (output, logSumExp, gradients): ([Float], [Float], [Float])
  }

  /// Forward and backward; the gradients are laid out as the inputs and were filled with 0.5 before.
  func evaluate(_ compute: Compute) -> Result {
    let attention = Attention(
      heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, scale: scale, cap: cap, window: window)
    var inputs = inputs
    let scratchCount = attention.backwardScratchCount(rows: past + rows, compute)
    let scratch = FloatBuffer(scratchCount)
    scratch.pointer.update(repeating: .nan, count: scratchCount)
    let (output, logSumExp) = (FloatBuffer(rows * heads * headWidth), FloatBuffer(heads * rows))
    let gradients = [Float](repeating: 0.5, count: inputs.count).changed { gradients in
      inputs.withUnsafeMutableBufferPointer { inputs in
        guard let base = inputs.baseAddress else { return }
        let buffers = AttentionBuffers(
          queries: base + past * stride, queryStride: stride, output: output.pointer, logSumExp: logSumExp.pointer,
          rows: rows, dropout: dropout)
        attention.forward(runs(base), buffers, scratch: scratch.pointer, compute)
        attention.backward(
          runs(base), buffers, upstream: upstream,
          AttentionGradients(
            queries: gradients + past * stride, keys: gradients + keyColumn, values: gradients + valueColumn,
            stride: stride), rows: past + rows, scratch: scratch.pointer, compute)
      }
    }
    return Result(
      output: Array(UnsafeBufferPointer(start: output.pointer, count: rows * heads * headWidth)),
      logSumExp: Array(UnsafeBufferPointer(start: logSumExp.pointer, count: heads * rows)), gradients: gradients)
  }

  private var dropout: AttentionDropout? { hasDropout ? AttentionDropout(probability: 0.3, seed: 77) : nil }

  private func runs(_ base: MutableFloats) -> [AttentionRun] {
    func span(_ rows: Range<Int>, _ causalOffset: Int) -> KeySpan {
      let first = rows.lowerBound * stride
      return KeySpan(
        keys: base + first + keyColumn, values: base + first + valueColumn,
        count: rows.count, stride: stride, causalOffset: causalOffset, firstRow: rows.lowerBound)
    }
    return segments.map { segment in
      // A window counts positions; without one all keys above are seen.
      let above = segment.ancestors.map {
        span(segments[$0].rows, window == nil ? KeySpan.everything : start(segment) - start(segments[$0]))
      }
      let own = past > 0 ? span(0..<past + rows, past) : span(segment.rows, 0)
      return AttentionRun(firstRow: segment.rows.lowerBound, rows: segment.rows.count, spans: above + [own])
    }
  }

  /// Position of a segment's first row.
  private func start(_ segment: Segment) -> Int { segment.ancestors.reduce(0) { $0 + segments[$1].rows.count } }

  /// Rows of keys that query `row` sees, as rows of `inputs`.
  private func visible(_ row: Int) -> [Int] {
    let before = beforeIncluding(row)
    return Array(before.suffix(window ?? before.count))
  }

  private func beforeIncluding(_ row: Int) -> [Int] {
    guard let segment = segments.first(where: { $0.rows.contains(row) }) else { return [] }
    if past > 0 { return Array(0...past + row) }
    return segment.ancestors.flatMap { Array(segments[$0].rows) } + Array(segment.rows.lowerBound...row)
  }

  /// What dropout multiplies a weight by.
  private func kept(_ row: Int, _ key: Int, _ head: Int) -> Double {
    guard let dropout, let segment = segments.first(where: { $0.rows.contains(row) }) else { return 1 }
    let first = segment.rows.lowerBound
    var ofHead = dropout.ofHead(head, AttentionRun(firstRow: first, rows: segment.rows.count, spans: []))
    return Double(sft_attention_kept(&ofHead, UInt64(row), UInt64(key)))
  }

  /// The formula, in double.
  func reference(_ inputs: [Double]) -> (output: [Double], logSumExp: [Double]) {
    var output = [Double](repeating: 0, count: rows * heads * headWidth)
    var logSumExp = [Double](repeating: 0, count: heads * rows)
    for row in 0..<rows {
      let keys = visible(row)
      for head in 0..<heads {
        let keyHead = head / (heads / keyValueHeads)
        let query = (past + row) * stride + head * headWidth
        let scores = keys.map { key in
          let product = (0..<headWidth).reduce(0.0) {
            $0 + inputs[query + $1] * inputs[key * stride + keyColumn + keyHead * headWidth + $1]
          }
          let score = product * (scale.map(Double.init) ?? 1 / Double(headWidth).squareRoot())
          return cap.map { Double($0) * tanh(score / Double($0)) } ?? score
        }
        let largest = scores.max() ?? 0
        let total = scores.reduce(0) { $0 + exp($1 - largest) }
        logSumExp[head * rows + row] = largest + log(total)
        for (key, score) in zip(keys, scores) {
          let weight = exp(score - largest) / total * kept(row, key, head)
          let value = key * stride + valueColumn + keyHead * headWidth
          for d in 0..<headWidth { output[(row * heads + head) * headWidth + d] += weight * inputs[value + d] }
        }
      }
    }
    return (output, logSumExp)
  }
}
