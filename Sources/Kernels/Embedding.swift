/// Token and position embeddings. N rows, C width, V vocabulary.
///
/// Which row takes which vectors is a matter of tables, so there is no faster way than the plain one.
public enum Embedding {
  /// Vectors by number.
  public enum Table {
    /// [·, C], row after row.
    case rows(Floats)
    /// The columns of a matrix laid out for products, as those of a head that is the same table.
    case columns(PackedMatrix)
  }

  /// x[N, C] = words[token] + places[position], [·, C].
  public static func forward(
    words: Table, places: Floats, tokens: [Int32], positions: [Int], _ x: MutableFloats, width: Int
  ) {
    for (row, token) in tokens.enumerated() {
      let place = places + positions[row] * width
      let output = x + row * width
      switch words {
      case .rows(let table):
        let word = table + Int(token) * width
        for i in 0..<width { output[i] = word[i] + place[i] }
      case .columns(let matrix):
        let (word, step) = matrix.column(Int(token))
        for i in 0..<width { output[i] = word[i * step] + place[i] }
      }
    }
  }

  /// dwords[V, C] and dplaces[·, C] += the rows of dx[N, C] that used them. The threads share out the columns, so that each
  /// sum is taken in the order of the rows.
  public static func backward(
    _ dx: Floats, tokens: [Int32], positions: [Int], dwords: MutableFloats, dplaces: MutableFloats, width: Int,
    _ compute: Compute
  ) {
    nonisolated(unsafe) let (dx, dwords, dplaces) = (dx, dwords, dplaces)
    compute.overRanges(width, grain: 64) { columns in
      for (row, token) in tokens.enumerated() {
        let upstream = dx + row * width
        let (word, place) = (dwords + Int(token) * width, dplaces + positions[row] * width)
        for i in columns {
          word[i] += upstream[i]
          place[i] += upstream[i]
        }
      }
    }
  }
}
