import Core

/// Lines of a table: the first columns, which are words, to the left, the others, which are figures, to the right; two spaces
/// between them.
func tableLines(_ rows: [[String]], words: Int = 1) -> [String] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.map { column < $0.count ? displayWidth($0[column]) : 0 }.max() ?? 0 }
  return rows.map { row in
    row.enumerated().map { column, text in
      let gap = String(repeating: " ", count: widths[column] - displayWidth(text))
      return column < words ? text + gap : gap + text
    }.joined(separator: "  ")
  }
}

/// 0.0912 → "9.12 %"; a dash for nil.
func percentage(_ share: Double?) -> String { share.map { fixed(100 * $0, 2) + " %" } ?? "–" }
