import Core
import Kernels
import Weights

/// What stands before and after a decoder's blocks: embeddings, final norm and head, as the base has them or an adapter.
///
/// N rows, C width, V vocabulary. The head's weight is the token embedding where it is tied.
struct DecoderEnds: Sendable {
  let configuration: ModelConfiguration
  var tokenEmbedding: EmbeddingRows
  /// [context, C]; nil where positions are rotations.
  let positionEmbedding: FloatTensor?
  var finalNorm: Norm
  /// C → V.
  var head: Linear
  /// Rows of an adapter in the place of the table's and of the head's own.
  var embeddingRows: TokenRows?
  var headRows: TokenRows?

  init(
    _ configuration: ModelConfiguration, tokenEmbedding: EmbeddingRows, positionEmbedding: FloatTensor?,
    finalNorm: Norm, head: Linear
  ) {
    self.configuration = configuration
    self.tokenEmbedding = tokenEmbedding
    self.positionEmbedding = positionEmbedding
    self.finalNorm = finalNorm
    self.head = head
  }

  private var scale: Float { Float(configuration.embeddingScale) }

  // MARK: - Embeddings

  /// x[N, C] = scale · token embedding (+ position embedding).
  func embed(_ tokens: [Int32], positions: [Int], _ x: MutableFloats, _ compute: Compute) {
    precondition(positions.allSatisfy { $0 < configuration.contextLength }, "a position beyond the model's context")
    Embedding.forward(
      words: tokenEmbedding.table, places: positionEmbedding?.pointer, tokens: tokens, positions: positions,
      replaced: embeddingRows.map { ($0.values.pointer, $0.rows(of: tokens)) }, scale: scale, x,
      width: configuration.width, compute)
  }

  /// Adds the embeddings' gradients, from dx[N, C], to what of them is trained.
  func embedBack(
    _ dx: Floats, _ tokens: [Int32], positions: [Int], gradients: WeightGradients, _ compute: Compute
  ) {
    func add(_ tokens: [Int32], to dwords: MutableFloats, _ dplaces: MutableFloats?) {
      Embedding.backward(
        dx, tokens: tokens, positions: positions, scale: scale, dwords: dwords, dplaces: dplaces,
        width: configuration.width, compute)
    }
    if case .floats(let words) = tokenEmbedding, let dwords = gradients.ifTrained(words) {
      add(tokens, to: dwords, positionEmbedding.flatMap { gradients.ifTrained($0) })
    }
    if let rows = embeddingRows, let drows = gradients.ifTrained(rows.values) {
      add(rows.rows(of: tokens), to: drows, nil)
    }
  }

  // MARK: - Head

  /// logits[rows, V] = h[rows, C] · headᵀ, before any cap. `picked` is for the adapter's own rows.
  func project(
    _ h: Floats, _ logits: MutableFloats, rows: Int, picked: FloatBuffer, panel: FloatBuffer, _ compute: Compute
  ) {
    ProductSum(m: rows, n: head.outputWidth, head.forwardTerm(h)).profiled(as: .headForward)
      .compute(into: logits, stride: head.outputWidth, scratch: panel, compute)
    headRows?.project(h, logits, rows: rows, classes: head.outputWidth, picked: picked, panel: panel, compute)
  }

  /// dh[rows, C] = dlogits[rows, V] · head; and the head's gradient, dlogitsᵀ[V, rows] · h[rows, C], is added to what of it
  /// is trained: a tied head's to the token embedding's. `dlogits` are spent.
  func projectBack(
    _ dlogits: MutableFloats, _ h: Floats, _ dh: MutableFloats, rows: Int, gradients: WeightGradients?,
    picked: FloatBuffer, panel: FloatBuffer, _ compute: Compute
  ) {
    let own = headRows.map { ($0, $0.takeOut(dlogits, rows: rows, classes: head.outputWidth, into: picked)) }
    ProductSum(m: rows, n: head.inputWidth, head.backwardTerm(dlogits)).profiled(as: .headBackward)
      .compute(into: dh, stride: head.inputWidth, scratch: panel, compute)
    if case .outputMajor(let weight) = head.weight, let dhead = gradients?.ifTrained(weight) {
      let (width, classes) = (head.inputWidth, head.outputWidth)
      ProductSum(
        m: classes, n: width, ProductTerm(dlogits, rowStride: 1, step: classes, k: rows, .stored(h, stride: width)),
        addend: dhead, addendStride: width
      ).profiled(as: .weightGradients).compute(into: dhead, stride: width, scratch: panel, compute)
    }
    if let (own, columns) = own {
      own.projectBack(
        columns, h, dh, gradient: gradients?.ifTrained(own.values), rows: rows, panel: panel, compute)
    }
  }

  // MARK: - Values

  /// A tensor of a part as the base has it, or its rows of some tokens: [tokens, C], before the embeddings' scale.
  func copy(_ end: TrainedEnd, into values: MutableFloats) {
    let tokens = end.tokens ?? (0..<Int32(configuration.vocabularySize)).map { $0 }
    func copy(_ table: EmbeddingRows) {
      Embedding.forward(
        words: table.table, places: nil, tokens: tokens, positions: [], values, width: configuration.width,
        Compute(threads: 1))
    }
    switch end.end {
    case .embedding: copy(tokenEmbedding)
    case .head: copy(EmbeddingRows(head: head.weight) ?? tokenEmbedding)
    case .finalNorm:
      let tensor =
        if end.name.hasSuffix(".bias"), case .layer(let bias) = finalNorm.kind { bias } else { finalNorm.weight }
      tensor.withValues { if let source = $0.baseAddress { values.update(from: source, count: $0.count) } }
    }
  }
}
