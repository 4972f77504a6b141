/// Token and position embeddings. N rows, C width, V vocabulary.
///
/// Which row takes which vectors is a matter of tables, so there is no faster way than the plain one.
public enum Embedding {
  /// Vectors by number.
  public enum Table {
    /// [·, C], row after row.
    case rows(Floats)
    /// [·, C] in 16-bit floats.
    case halfRows(HalfMatrix)
    /// [·, C] in quantised blocks.
    case blockRows(BlockMatrix)
    /// The columns of a matrix laid out for products, as those of a head that is the same table.
    case columns(PanelMatrix)
  }

  /// x[N, C] = scale · words[token] + places[position], [·, C]; nil for no places. `replaced` are vectors [·, C] and which of
  /// them each row takes instead of its token's; negative for none.
  public static func forward(
    words: Table, places: Floats?, tokens: [Int32], positions: [Int], replaced: (vectors: Floats, rows: [Int32])? = nil,
    scale: Float = 1, _ x: MutableFloats, width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (words, places, replaced, x) = (words, places, replaced, x)
    compute.overRanges(tokens.count, grain: max(1, (1 << 13) / width)) { range in
      for row in range {
        let (token, output) = (tokens[row], x + row * width)
        if let replaced, replaced.rows[row] >= 0 {
          output.update(from: replaced.vectors + Int(replaced.rows[row]) * width, count: width)
        } else {
          copy(words, token, to: output, width: width)
        }
        if scale != 1 { for i in 0..<width { output[i] *= scale } }
        if let places {
          let place = places + positions[row] * width
          for i in 0..<width { output[i] += place[i] }
        }
      }
    }
  }

  private static func copy(_ words: Table, _ token: Int32, to output: MutableFloats, width: Int) {
    switch words {
    case .rows(let table): output.update(from: table + Int(token) * width, count: width)
    case .halfRows(let table): table.decode(row: Int(token), count: width, into: output)
    case .blockRows(let table): table.decode(row: Int(token), count: width, into: output)
    case .columns(let matrix):
      let (word, step) = matrix.column(Int(token))
      for i in 0..<width { output[i] = word[i * step] }
    }
  }

  /// dwords[V, C] += scale · and dplaces[·, C] += the rows of dx[N, C] that used them; one of a negative token used no
  /// word. The threads share out the columns, so that each sum is taken in the order of the rows.
  public static func backward(
    _ dx: Floats, tokens: [Int32], positions: [Int], scale: Float = 1, dwords: MutableFloats, dplaces: MutableFloats?,
    width: Int, _ compute: Compute
  ) {
    nonisolated(unsafe) let (dx, dwords, dplaces) = (dx, dwords, dplaces)
    compute.overRanges(width, grain: 16) { columns in
      for (row, token) in tokens.enumerated() {
        let upstream = dx + row * width
        if token >= 0 {
          let word = dwords + Int(token) * width
          for i in columns { word[i] += scale * upstream[i] }
        }
        guard let dplaces else { continue }
        let place = dplaces + positions[row] * width
        for i in columns { place[i] += upstream[i] }
      }
    }
  }
}
