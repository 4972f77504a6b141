import CKernels
import Core

/// Scaled dot-product attention (Vaswani et al. 2017), tiled: no T×T matrix exists, forward or backward.
///
/// Forward it is parallel over query heads and runs. Backward it is over key/value heads, of which one that many queries share
/// is cut into shares with sums of their own: they are added in order, so that any number of threads gives the same bits.
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

  /// `isTiled`: a single query is treated as one of many.
  func form(isTiled: Bool = false) -> sft_attention_form {
    sft_attention_form(
      head_width: headWidth, scale: scale, cap: cap ?? 0, window: Int64(window ?? 0), is_tiled: isTiled ? 1 : 0)
  }

  /// Floats of scratch for the forward pass: tiles for each thread.
  public func scratchCount(_ compute: Compute) -> Int { compute.threads * sft_attention_scratch(headWidth) }

  public func forward(_ runs: [AttentionRun], _ buffers: AttentionBuffers, scratch: MutableFloats, _ compute: Compute) {
    let timing = compute.time(.attentionForward)
    defer { timing?.end() }
    nonisolated(unsafe) let (runs, buffers, scratch) = (runs, buffers, scratch)
    let group = heads / keyValueHeads
    nonisolated(unsafe) let parts = forwardParts(runs, threads: compute.threads)
    func cut() -> LoopCut {
      LoopCut { threads in
        let parts = forwardParts(runs, threads: threads)
        return (0..<heads).flatMap { _ in parts.map { LoopPiece(share: $0.run.work(.queries)) } }
      }
    }
    parallelFor(heads * parts.count, threads: compute.threads, cut: cut()) { task, worker in
      let (head, (run, isTiled)) = (task / parts.count, parts[task % parts.count])
      let cForm = form(isTiled: isTiled || compute.rowKernels == .byPanel)
      let own = scratch + worker * sft_attention_scratch(headWidth)
      withCSpans(run, head / group, gradients: nil) { spans, count in
        let q = buffers.queries + run.queryRow * buffers.queryStride + head * headWidth
        let out = buffers.output + run.firstRow * heads * headWidth + head * headWidth
        let lse = buffers.logSumExp + head * buffers.rows + run.firstRow
        withDropout(buffers.dropout, head, run) { dropout in
          switch compute.engine {
          case .auto:
            sft_attention_forward(
              q, buffers.queryStride, run.rows, spans, count, cForm, dropout, out, heads * headWidth, lse, own)
          case .plain:
            forwardPlain(
              q, buffers.queryStride, run.rows, UnsafeBufferPointer(start: spans, count: count), dropout, out, lse)
          }
        }
      }
    }
  }

  /// The runs, long ones cut between tiles of queries where heads and runs are few for the threads. Of what was cut a single
  /// query is still one of many.
  private func forwardParts(_ runs: [AttentionRun], threads: Int) -> [(run: AttentionRun, isTiled: Bool)] {
    guard heads * runs.count < Self.partsPerThread * threads else { return runs.map { ($0, false) } }
    let most = partRows(runs, heads: heads, threads: threads)
    return runs.flatMap { run in run.cut(most).map { ($0, run.rows > 1) } }
  }

  /// Tasks that keep a thread busy until the last one of all ends.
  static let partsPerThread = 4

  /// Rows that runs are cut to, in whole tiles, so that there are as many tasks as that.
  func partRows(_ runs: [AttentionRun], heads: Int, threads: Int) -> Int {
    let rows = runs.reduce(0) { $0 + $1.rows } * heads / (Self.partsPerThread * threads)
    let tile = AttentionRun.tile
    return max(tile, (rows + tile - 1) / tile * tile)
  }

  func withDropout(
    _ dropout: AttentionDropout?, _ head: Int, _ run: AttentionRun,
    _ body: (UnsafePointer<sft_attention_dropout>?) -> Void
  ) {
    guard let dropout else { return body(nil) }
    withUnsafePointer(to: dropout.ofHead(head, run)) { body($0) }
  }

  func withCSpans(
    _ run: AttentionRun, _ keyHead: Int, gradients: AttentionGradients?,
    _ body: (UnsafePointer<sft_key_span>, Int) -> Void
  ) {
    let offset = keyHead * headWidth
    withUnsafeTemporaryAllocation(of: sft_key_span.self, capacity: run.spans.count) { buffer in
      guard let spans = buffer.baseAddress else { return }
      for (index, span) in run.spans.enumerated() {
        let place = span.firstRow * (gradients?.stride ?? 0) + offset
        spans[index] = sft_key_span(
          keys: span.keys + offset, values: span.values + offset, count: span.count, stride: span.stride,
          key_gradients: gradients.map { $0.keys + place }, value_gradients: gradients.map { $0.values + place },
          gradient_stride: gradients?.stride ?? 0, causal_offset: Int64(span.causalOffset),
          first_row: UInt64(span.firstRow), gradients: span.gradients.number)
      }
      body(spans, run.spans.count)
    }
  }
}
