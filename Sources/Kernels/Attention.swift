import CKernels
import Core
import Glibc

/// Keys and values that a run of queries attends to: rows of an activation buffer, or of a key/value cache.
public struct KeySpan {
  /// First row's keys and values, all heads: a head's are at `head * headWidth`.
  public var keys: Floats
  public var values: Floats
  /// Where their gradients are accumulated; nil outside training.
  public var keyGradients: MutableFloats?
  public var valueGradients: MutableFloats?
  public var count: Int
  /// Floats from one row to the next, of keys, values and both gradients.
  public var stride: Int
  /// Query i sees key j when j ≤ i + causalOffset; `everything` for a span that lies wholly before the queries.
  public var causalOffset: Int
  /// Of the first key, by which dropout counts them.
  public var firstRow: Int

  public static let everything = Int(Int32.max)

  public init(
    keys: Floats, values: Floats, keyGradients: MutableFloats? = nil, valueGradients: MutableFloats? = nil, count: Int,
    stride: Int, causalOffset: Int = KeySpan.everything, firstRow: Int = 0
  ) {
    self.keys = keys
    self.values = values
    self.keyGradients = keyGradients
    self.valueGradients = valueGradients
    self.count = count
    self.stride = stride
    self.causalOffset = causalOffset
    self.firstRow = firstRow
  }
}

/// A run of consecutive query rows and all that they attend to.
public struct AttentionRun {
  /// First of the run's rows in the output and log-sum-exp buffers.
  public var firstRow: Int
  /// First of the run's rows among the queries, which may hold more rows than there are outputs.
  public var queryRow: Int
  public var rows: Int
  public var spans: [KeySpan]

  /// `queryRow` is `firstRow` where it is not given.
  public init(firstRow: Int, queryRow: Int? = nil, rows: Int, spans: [KeySpan]) {
    self.firstRow = firstRow
    self.queryRow = queryRow ?? firstRow
    self.rows = rows
    self.spans = spans
  }
}

/// Buffers of one attention call with N rows of output and H heads of width D; G = H / keyValueHeads queries share a key
/// head.
public struct AttentionBuffers {
  /// [·, H·D] inside rows of `queryStride`.
  public var queries: Floats
  public var queryStride: Int
  /// [N, H·D].
  public var output: MutableFloats
  /// [H, N], kept for the backward pass.
  public var logSumExp: MutableFloats
  public var rows: Int
  public var dropout: AttentionDropout?

  public init(
    queries: Floats, queryStride: Int, output: MutableFloats, logSumExp: MutableFloats, rows: Int,
    dropout: AttentionDropout? = nil
  ) {
    self.queries = queries
    self.queryStride = queryStride
    self.output = output
    self.logSumExp = logSumExp
    self.rows = rows
    self.dropout = dropout
  }
}

/// Scaled dot-product attention (Vaswani et al. 2017), tiled: no T×T matrix exists, forward or backward.
///
/// Forward it is parallel over query heads; backward over key/value heads: a head's gradients are then summed by one thread,
/// in order.
public struct Attention: Sendable {
  public var heads: Int
  public var keyValueHeads: Int
  public var headWidth: Int
  /// What q · k is multiplied by.
  public var scale: Float
  /// Scores x become cap · tanh(x / cap) (Gemma 2); nil to leave them.
  public var cap: Float?
  /// Keys that a query sees, itself among them; nil for all before it.
  public var window: Int?

  /// `scale` is 1/√headWidth unless given.
  public init(
    heads: Int, keyValueHeads: Int, headWidth: Int, scale: Float? = nil, cap: Float? = nil, window: Int? = nil
  ) {
    precondition(heads % keyValueHeads == 0)
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headWidth = headWidth
    self.scale = scale ?? 1 / Float(headWidth).squareRoot()
    self.cap = cap
    self.window = window
  }

  private var form: sft_attention_form {
    sft_attention_form(head_width: headWidth, scale: scale, cap: cap ?? 0, window: Int64(window ?? 0))
  }

  /// Floats of scratch for either pass: tiles for each thread.
  public func scratchCount(_ compute: Compute) -> Int {
    min(compute.threads, heads) * sft_attention_scratch(headWidth)
  }

  public func forward(_ runs: [AttentionRun], _ buffers: AttentionBuffers, scratch: MutableFloats, _ compute: Compute) {
    let timing = compute.time(.attentionForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (runs, buffers, scratch) = (runs, buffers, scratch)
    let group = heads / keyValueHeads
    let form = form
    parallelFor(heads, threads: compute.threads) { head, worker in
      let own = scratch + worker * sft_attention_scratch(headWidth)
      for run in runs {
        withCSpans(run, head / group) { spans, count in
          let q = buffers.queries + run.queryRow * buffers.queryStride + head * headWidth
          let out = buffers.output + run.firstRow * heads * headWidth + head * headWidth
          let lse = buffers.logSumExp + head * buffers.rows + run.firstRow
          withDropout(buffers.dropout, head, run) { dropout in
            switch compute.engine {
            case .auto:
              sft_attention_forward(
                q, buffers.queryStride, run.rows, spans, count, form, dropout, out, heads * headWidth, lse, own)
            case .plain:
              forwardPlain(
                q, buffers.queryStride, run.rows, UnsafeBufferPointer(start: spans, count: count), dropout, out, lse)
            }
          }
        }
      }
    }
  }

  /// Accumulates into `queryGradients` (laid out as the queries) and the spans' gradients. `upstream` is [N, H·D].
  public func backward(
    _ runs: [AttentionRun], _ buffers: AttentionBuffers, upstream: Floats, queryGradients: MutableFloats,
    scratch: MutableFloats, _ compute: Compute
  ) {
    let timing = compute.time(.attentionBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (runs, buffers, scratch) = (runs, buffers, scratch)
    nonisolated(unsafe) let (upstream, queryGradients) = (upstream, queryGradients)
    let group = heads / keyValueHeads
    let width = heads * headWidth
    let form = form
    parallelFor(keyValueHeads, threads: compute.threads) { keyHead, worker in
      let own = scratch + worker * sft_attention_scratch(headWidth)
      for run in runs {
        withCSpans(run, keyHead) { spans, count in
          for head in keyHead * group..<(keyHead + 1) * group {
            let queryOffset = run.queryRow * buffers.queryStride + head * headWidth
            let outOffset = run.firstRow * width + head * headWidth
            let lse = buffers.logSumExp + head * buffers.rows + run.firstRow
            withDropout(buffers.dropout, head, run) { dropout in
              switch compute.engine {
              case .auto:
                sft_attention_backward(
                  buffers.queries + queryOffset, buffers.queryStride, run.rows, spans, count, form, dropout,
                  buffers.output + outOffset, upstream + outOffset, width, lse, queryGradients + queryOffset,
                  buffers.queryStride, own)
              case .plain:
                backwardPlain(
                  buffers.queries + queryOffset, buffers.queryStride, run.rows,
                  UnsafeBufferPointer(start: spans, count: count), dropout, buffers.output + outOffset,
                  upstream + outOffset, lse, queryGradients + queryOffset)
              }
            }
          }
        }
      }
    }
  }

  private func withDropout(
    _ dropout: AttentionDropout?, _ head: Int, _ run: AttentionRun,
    _ body: (UnsafePointer<sft_attention_dropout>?) -> Void
  ) {
    guard let dropout else { return body(nil) }
    withUnsafePointer(to: dropout.ofHead(head, run)) { body($0) }
  }

  private func withCSpans(_ run: AttentionRun, _ keyHead: Int, _ body: (UnsafePointer<sft_key_span>, Int) -> Void) {
    let offset = keyHead * headWidth
    withUnsafeTemporaryAllocation(of: sft_key_span.self, capacity: run.spans.count) { buffer in
      guard let spans = buffer.baseAddress else { return }
      for (index, span) in run.spans.enumerated() {
        spans[index] = sft_key_span(
          keys: span.keys + offset, values: span.values + offset, key_gradients: span.keyGradients.map { $0 + offset },
          value_gradients: span.valueGradients.map { $0 + offset }, count: span.count, stride: span.stride,
          causal_offset: Int64(span.causalOffset), first_row: UInt64(span.firstRow))
      }
      body(spans, run.spans.count)
    }
  }
}
