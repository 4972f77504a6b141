import CKernels
import Glibc

/// The reference: one query at a time, every score computed twice rather than kept, sums in double.
extension Attention {
  func forwardPlain(
    _ q: Floats, _ queryStride: Int, _ rows: Int, _ spans: UnsafeBufferPointer<sft_key_span>,
    _ dropout: UnsafePointer<sft_attention_dropout>?, _ out: MutableFloats, _ logSumExp: MutableFloats
  ) {
    for row in 0..<rows {
      let query = q + row * queryStride
      var largest = -Float.infinity
      forEachKey(of: row, spans) { span, key in largest = max(largest, score(query, span, key)) }
      let output = out + row * heads * headWidth
      var total = 0.0
      var sums = [Double](repeating: 0, count: headWidth)
      forEachKey(of: row, spans) { span, key in
        let weight = exp(Double(score(query, span, key) - largest))
        total += weight
        let kept = weight * Double(factor(dropout, row, span, key))
        for d in 0..<headWidth { sums[d] += kept * Double(span.values[key * span.stride + d]) }
      }
      for d in 0..<headWidth { output[d] = Float(sums[d] / total) }
      logSumExp[row] = largest + Float(log(total))
    }
  }

  func backwardPlain(
    _ q: Floats, _ queryStride: Int, _ rows: Int, _ spans: UnsafeBufferPointer<sft_key_span>,
    _ dropout: UnsafePointer<sft_attention_dropout>?, _ out: Floats, _ upstream: Floats, _ logSumExp: Floats,
    _ queryGradients: MutableFloats
  ) {
    for row in 0..<rows {
      let query = q + row * queryStride
      let dout = upstream + row * heads * headWidth
      let delta = dot(out + row * heads * headWidth, dout)
      let dquery = queryGradients + row * queryStride
      forEachKey(of: row, spans) { span, key in
        guard let dkeys = span.key_gradients, let dvalues = span.value_gradients else { return }
        let (offset, place) = (key * span.stride, key * span.gradient_stride)
        let p = exp(score(query, span, key) - logSumExp[row])
        let kept = factor(dropout, row, span, key)
        let slope = cap.map { 1 - (score(query, span, key) / $0) * (score(query, span, key) / $0) } ?? 1
        let ds = p * (kept * dot(dout, span.values + offset) - delta) * slope * scale
        for d in 0..<headWidth {
          dvalues[place + d] += p * kept * dout[d]
          dkeys[place + d] += ds * query[d]
          dquery[d] += ds * span.keys[offset + d]
        }
      }
    }
  }

  private func forEachKey(
    of row: Int, _ spans: UnsafeBufferPointer<sft_key_span>, _ body: (sft_key_span, Int) -> Void
  ) {
    for span in spans {
      let last = row + Int(span.causal_offset)
      let end = max(0, min(span.count, last + 1))
      for key in min(end, window.map { max(0, last - $0 + 1) } ?? 0)..<end { body(span, key) }
    }
  }

  /// What dropout multiplies the weight of a span's key by.
  private func factor(
    _ dropout: UnsafePointer<sft_attention_dropout>?, _ row: Int, _ span: sft_key_span, _ key: Int
  ) -> Float {
    guard let dropout else { return 1 }
    return sft_attention_kept(dropout, dropout.pointee.first_row + UInt64(row), span.first_row + UInt64(key))
  }

  private func score(_ query: Floats, _ span: sft_key_span, _ key: Int) -> Float {
    let score = dot(query, span.keys + key * span.stride) * scale
    return cap.map { $0 * tanhf(score / $0) } ?? score
  }

  private func dot(_ a: Floats, _ b: Floats) -> Float {
    var sum = 0.0
    for d in 0..<headWidth { sum += Double(a[d]) * Double(b[d]) }
    return Float(sum)
  }
}
