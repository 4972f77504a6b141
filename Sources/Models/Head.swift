import Core
import Kernels

/// Final norm, head and cross-entropy at the supervised rows alone, in chunks: N×V logits never exist.
final class LossHead {
  /// Rows of logits that exist at once.
  static let chunkRows = 64

  private let gathered = FloatBuffer()
  private let normed = FloatBuffer()
  private let statistics = FloatBuffer()
  private let normedGradient = FloatBuffer()
  private let gatheredGradient = FloatBuffer()
  private let logits = FloatBuffer()
  private let panel: FloatBuffer

  init(panel: FloatBuffer) { self.panel = panel }

  /// The loss over the batch's targets from the stream x[N, C]. Where `gradientScale` is given, `gradient` [N, C] is set
  /// to gradientScale · ∂loss/∂x.
  func loss(
    _ decoder: Decoder, _ batch: Batch, _ x: Floats, gradientScale: Float?, gradient: MutableFloats?, _ compute: Compute
  ) -> CrossEntropy.Totals {
    let width = decoder.configuration.width
    let classes = decoder.configuration.vocabularySize
    // Targets are sorted by row; number the distinct rows 0, 1, … and address the targets by that number.
    var rows: [Int] = []
    let targets = batch.targets.map { target in
      if rows.last != target.row { rows.append(target.row) }
      return Batch.Target(row: rows.count - 1, token: target.token, weight: target.weight)
    }
    let count = rows.count
    let input = gathered.ensure(count * width)
    for (index, row) in rows.enumerated() { (input + index * width).update(from: x + row * width, count: width) }
    let output = normed.ensure(count * width)
    let mean = statistics.ensure(2 * count)
    decoder.finalNorm.forward(input, output, mean: mean, rstd: mean + count, rows: count, compute)

    var totals = CrossEntropy.Totals()
    let dnormed = gradientScale == nil ? nil : normedGradient.ensure(count * width)
    var first = 0
    var cursor = 0
    while first < count {
      let chunk = min(Self.chunkRows, count - first)
      let end = targets[cursor...].firstIndex { $0.row >= first + chunk } ?? targets.endIndex
      let scores = logits.ensure(Self.chunkRows * classes)
      decoder.project(output + first * width, scores, rows: chunk, panel: panel, compute)
      totals += CrossEntropy.rows(
        scores, rows: chunk, classes: classes, firstRow: first, targets: targets[cursor..<end],
        gradientScale: gradientScale, compute)
      if let dnormed {
        decoder.projectBack(scores, dnormed + first * width, rows: chunk, panel: panel, compute)
      }
      first += chunk
      cursor = end
    }
    if let dnormed, let gradient {
      let dinput = gatheredGradient.ensure(count * width)
      dinput.update(repeating: 0, count: count * width)
      decoder.finalNorm.backward(
        input, mean: mean, rstd: mean + count, dy: dnormed, dx: dinput, rows: count, compute)
      gradient.update(repeating: 0, count: batch.tokens.count * width)
      for (index, row) in rows.enumerated() {
        (gradient + row * width).update(from: dinput + index * width, count: width)
      }
    }
    return totals
  }

  /// logits[rows.count, V] at the given rows of the stream x[N, C].
  func logits(_ decoder: Decoder, _ x: Floats, rows: [Int], into output: MutableFloats, _ compute: Compute) {
    let width = decoder.configuration.width
    let input = gathered.ensure(rows.count * width)
    for (index, row) in rows.enumerated() { (input + index * width).update(from: x + row * width, count: width) }
    let normed = self.normed.ensure(rows.count * width)
    let mean = statistics.ensure(2 * rows.count)
    decoder.finalNorm.forward(input, normed, mean: mean, rstd: mean + rows.count, rows: rows.count, compute)
    decoder.project(normed, output, rows: rows.count, panel: panel, compute)
  }
}
