import Core
import Kernels
import Weights

/// Final norm, head and cross-entropy, in chunks of rows: N×V logits never exist.
final class LossHead {
  private let limit: Int
  private let normed = FloatBuffer()
  private let statistics = FloatBuffer()
  private let normedGradient = FloatBuffer()
  private let logits = FloatBuffer()
  private let capped = FloatBuffer()
  /// [rows, T]: logits of tokens whose rows an adapter has.
  private let picked = FloatBuffer()
  private let panel: FloatBuffer

  /// `logits`: how many exist at once, about.
  init(logits: Int, panel: FloatBuffer) { (limit, self.panel) = (logits, panel) }

  var buffers: [FloatBuffer] { [normed, statistics, normedGradient, logits, capped] }

  /// Rows of logits that exist at once, at most. More than 512 bring nothing, and fewer than 16 cost too much. The head
  /// is decoded for each chunk anew: 128 rows are enough for that, and little beside a large head, of which they are a
  /// 32nd at most.
  func chunkRows(_ configuration: ModelConfiguration) -> Int {
    min(max(16, min(128, configuration.width / 32), limit / configuration.vocabularySize), 512)
  }

  /// Rows of logits of each chunk but perhaps the last, of so many in all.
  func rowsAtOnce(_ count: Int, _ configuration: ModelConfiguration) -> Int {
    // Chunks of about the same size: a small one at the end would cost almost as much as a full one.
    let most = chunkRows(configuration)
    let chunks = max(1, (count + most - 1) / most)
    return (count + chunks - 1) / chunks
  }

  /// What the loss over `count` rows takes; `backward`: with its gradient.
  func needs(_ count: Int, _ configuration: ModelConfiguration, backward: Bool) -> [BufferNeed<LossHead>] {
    let (width, classes) = (configuration.width, configuration.vocabularySize)
    let scores = rowsAtOnce(count, configuration) * classes
    return [
      BufferNeed(count * width) { $0.normed }, BufferNeed(2 * count) { $0.statistics },
      BufferNeed(backward ? count * width : 0) { $0.normedGradient }, BufferNeed(scores) { $0.logits },
      BufferNeed(backward && configuration.logitCap != nil ? scores : 0) { $0.capped },
    ]
  }

  /// The loss over the batch's targets from x[S, C], the stream at the S supervised rows. Where `gradientScale` is given,
  /// `gradient` [S, C] is set to gradientScale · ∂loss/∂x, and the norm's and the head's own gradients are added to
  /// `gradients`, where they are trained.
  func loss(
    _ ends: DecoderEnds, _ batch: Batch, _ x: Floats, gradientScale: Float?, gradient: MutableFloats?,
    gradients: WeightGradients? = nil, _ compute: Compute
  ) -> CrossEntropy.Totals {
    let configuration = ends.configuration
    let (width, classes) = (configuration.width, configuration.vocabularySize)
    // Targets are sorted by row; address them by the supervised rows' numbers 0, 1, ….
    var (count, row) = (0, -1)
    let targets = batch.targets.map { target in
      if target.row != row { (count, row) = (count + 1, target.row) }
      return Batch.Target(row: count - 1, token: target.token, weight: target.weight)
    }
    for need in needs(count, configuration, backward: gradientScale != nil) { need.allocate(self) }
    let (output, mean) = (normed.pointer, statistics.pointer)
    norm(ends, x, output, statistics: mean, rows: count, compute)

    var totals = CrossEntropy.Totals()
    let dnormed = gradientScale == nil ? nil : normedGradient.pointer
    let rows = rowsAtOnce(count, configuration)
    var cursor = 0
    for first in stride(from: 0, to: count, by: rows) {
      let chunk = min(rows, count - first)
      let end = targets[cursor...].firstIndex { $0.row >= first + chunk } ?? targets.endIndex
      let scores = logits.pointer
      ends.project(output + first * width, scores, rows: chunk, picked: picked, panel: panel, compute)
      let cap = configuration.logitCap.map { Float($0) }
      if let cap {
        Elementwise.softCap(scores, count: chunk * classes, cap: cap, compute)
        if dnormed != nil { Elementwise.copy(scores, into: capped.pointer, count: chunk * classes, compute) }
      }
      totals += CrossEntropy.rows(
        scores, rows: chunk, classes: classes, firstRow: first, targets: targets[cursor..<end],
        gradientScale: gradientScale, compute)
      if let dnormed {
        if let cap { Elementwise.softCapBack(capped.pointer, scores, count: chunk * classes, cap: cap, compute) }
        ends.projectBack(
          scores, output + first * width, dnormed + first * width, rows: chunk, gradients: gradients, picked: picked,
          panel: panel, compute)
      }
      cursor = end
    }
    if let dnormed, let gradient {
      let scale = Float(configuration.logitScale)
      if scale != 1 { Elementwise.scale(dnormed, by: scale, into: dnormed, count: count * width, compute) }
      Elementwise.clear(gradient, count: count * width, compute)
      ends.finalNorm.backward(
        x, statistics: mean, dy: dnormed, dx: gradient, rows: count,
        gradients: gradients.flatMap { $0.ifTrained(ends.finalNorm.weight) == nil ? nil : $0 }, compute)
    }
    return totals
  }

  /// logits[rows, V] of the stream x[rows, C].
  func logits(_ ends: DecoderEnds, _ x: Floats, rows: Int, into output: MutableFloats, _ compute: Compute) {
    let normed = norm(ends, x, rows: rows, compute)
    ends.project(normed, output, rows: rows, picked: picked, panel: panel, compute)
    if let cap = ends.configuration.logitCap {
      Elementwise.softCap(output, count: rows * ends.head.outputWidth, cap: Float(cap), compute)
    }
  }

  /// The first row of the head with the largest logit of the stream x[C], which is not capped; nil where `shortlist` does
  /// not find it.
  func largest(
    _ ends: DecoderEnds, _ x: Floats, _ shortlist: HeadShortlist, _ compute: Compute
  ) -> (row: Int, product: Float)? {
    shortlist.largest(norm(ends, x, rows: 1, compute), compute)
  }

  /// What the head gets of the stream x[rows, C].
  private func norm(_ ends: DecoderEnds, _ x: Floats, rows: Int, _ compute: Compute) -> Floats {
    let output = normed.ensure(rows * ends.configuration.width)
    norm(ends, x, output, statistics: statistics.ensure(2 * rows), rows: rows, compute)
    return Floats(output)
  }

  /// What the head gets, multiplied by what logits are multiplied by.
  private func norm(
    _ ends: DecoderEnds, _ x: Floats, _ y: MutableFloats, statistics: MutableFloats, rows: Int, _ compute: Compute
  ) {
    ends.finalNorm.forward(x, y, statistics: statistics, rows: rows, compute)
    let scale = Float(ends.configuration.logitScale)
    if scale != 1 { Elementwise.scale(y, by: scale, into: y, count: rows * ends.configuration.width, compute) }
  }
}
