import CKernels
import Core

extension Attention {
  /// Tasks that many cores are kept busy with.
  private static let tasks = 16

  /// What the queries of a key/value head are cut into: of the model's shape alone, so that sums are the same on any machine.
  private var shares: Int {
    min(heads / keyValueHeads, max(1, (Self.tasks + keyValueHeads - 1) / keyValueHeads))
  }

  /// [rows, keys | values] of each share after the first.
  private func partialCount(rows: Int) -> Int { (shares - 1) * rows * 2 * keyValueHeads * headWidth }

  /// Floats of scratch for the backward pass, with `rows` rows of keys.
  public func backwardScratchCount(rows: Int, _ compute: Compute) -> Int {
    scratchCount(compute) + partialCount(rows: rows)
  }

  /// Accumulates into `gradients`, whose keys are `rows` rows. `upstream` is [N, H·D].
  public func backward(
    _ runs: [AttentionRun], _ buffers: AttentionBuffers, upstream: Floats, _ gradients: AttentionGradients, rows: Int,
    scratch: MutableFloats, _ compute: Compute
  ) {
    let timing = compute.time(.attentionBackward)
    defer { timing?.end() }
    nonisolated(unsafe) let (runs, buffers, upstream, gradients) = (runs, buffers, upstream, gradients)
    nonisolated(unsafe) let (scratch, partial) = (scratch, scratch + scratchCount(compute))
    let (group, shares) = (heads / keyValueHeads, shares)
    let tasks = keyValueHeads * shares
    if shares > 1 { Elementwise.clear(partial, count: partialCount(rows: rows), compute) }
    // Whatever is written twice is written in the order of the runs by one job.
    nonisolated(unsafe) let jobs =
      compute.engine == .auto ? backwardJobs(runs, tasks: tasks, threads: compute.threads) : [runs]
    func cut() -> LoopCut {
      LoopCut { threads in
        backwardJobs(runs, tasks: tasks, threads: threads).flatMap { job in
          [LoopPiece](repeating: LoopPiece(share: job.reduce(0) { $0 + $1.work() }), count: tasks)
        }
      }
    }
    parallelFor(tasks * jobs.count, threads: compute.threads, cut: cut()) { task, worker in
      let (keyHead, share, runs) = (task % tasks / shares, task % shares, jobs[task / tasks])
      let gradients = share > 0 ? ownGradients(gradients, partial, share, rows: rows) : gradients
      let first = keyHead * group
      let heads = first + share * group / shares..<first + (share + 1) * group / shares
      backward(
        runs, heads, keyHead, buffers, upstream, gradients, scratch + worker * sft_attention_scratch(headWidth), compute
      )
    }
    guard shares > 1 else { return }
    compute.overRanges(rows, grain: 64) { range in
      for row in range { addShares(partial, to: gradients, row: row, rows: rows) }
    }
  }

  /// The memory that a share's keys and values have their gradients summed in.
  private func ownGradients(
    _ gradients: AttentionGradients, _ partial: MutableFloats, _ share: Int, rows: Int
  ) -> AttentionGradients {
    let width = keyValueHeads * headWidth
    let keys = partial + (share - 1) * rows * 2 * width
    var own = gradients
    (own.keys, own.values, own.stride) = (keys, keys + width, 2 * width)
    return own
  }

  private func addShares(_ partial: MutableFloats, to gradients: AttentionGradients, row: Int, rows: Int) {
    let width = keyValueHeads * headWidth
    let (keys, values) = (gradients.keys + row * gradients.stride, gradients.values + row * gradients.stride)
    for share in 1..<shares {
      let own = ownGradients(gradients, partial, share, rows: rows)
      let (added, addedValues) = (own.keys + row * own.stride, own.values + row * own.stride)
      for i in 0..<width {
        keys[i] += added[i]
        values[i] += addedValues[i]
      }
    }
  }

  /// Some query heads of one key/value head.
  private func backward(
    _ runs: [AttentionRun], _ heads: Range<Int>, _ keyHead: Int, _ buffers: AttentionBuffers, _ upstream: Floats,
    _ gradients: AttentionGradients, _ scratch: MutableFloats, _ compute: Compute
  ) {
    let width = self.heads * headWidth
    let cForm = form()
    for run in runs {
      withCSpans(run, keyHead, gradients: gradients) { spans, count in
        for head in heads {
          let queryOffset = run.queryRow * buffers.queryStride + head * headWidth
          let outOffset = run.firstRow * width + head * headWidth
          let lse = buffers.logSumExp + head * buffers.rows + run.firstRow
          withDropout(buffers.dropout, head, run) { dropout in
            switch compute.engine {
            case .auto:
              sft_attention_backward(
                buffers.queries + queryOffset, buffers.queryStride, run.rows, spans, count, cForm, dropout,
                buffers.output + outOffset, upstream + outOffset, width, lse, gradients.queries + queryOffset,
                buffers.queryStride, scratch)
            case .plain:
              backwardPlain(
                buffers.queries + queryOffset, buffers.queryStride, run.rows,
                UnsafeBufferPointer(start: spans, count: count), dropout, buffers.output + outOffset,
                upstream + outOffset, lse, gradients.queries + queryOffset)
            }
          }
        }
      }
    }
  }
}
