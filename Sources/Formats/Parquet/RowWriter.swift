import Core

/// The columns of a row group → a JSON object a row.
struct RowWriter {
  private let schema: ParquetSchema
  private let columns: [ColumnReader]

  init(
    _ file: UnsafeRawBufferPointer, _ schema: ParquetSchema, _ group: ParquetMetadata.RowGroup, _ budget: PageBudget
  ) throws {
    guard group.chunks.count == schema.leaves.count else { throw damaged("a row group lacks columns") }
    self.schema = schema
    columns = try zip(schema.leaves, group.chunks).map { try ColumnReader(file, $0, $1, budget) }
  }

  /// The next row. Throws `badData` where the columns do not fit each other.
  func writeRow(_ lines: inout JSONLines) throws {
    lines.append("{")
    for (index, column) in schema.columns.enumerated() {
      if index > 0 { lines.append(",") }
      lines.appendString(column.name)
      lines.append(":")
      try write(column.node, &lines)
    }
    lines.append("}")
    guard columns.allSatisfy({ $0.repetition == 0 }) else { throw damaged("its columns have not the same rows") }
  }

  /// Throws where there is more than the rows that were written.
  func checkEnd() throws {
    guard columns.allSatisfy(\.isAtEnd) else { throw damaged("a column has more rows than its row group") }
  }

  private func write(_ node: ParquetSchema.Node, _ lines: inout JSONLines) throws {
    try lines.continueLine()
    let lead = columns[node.leaves.lowerBound]
    if try lead.definition() < node.nullBelow {
      lines.append("null")
      try skip(node)
      return
    }
    switch node.content {
    case .leaf(let index): try writeValue(columns[index], &lines)
    case .object(let members):
      lines.append("{")
      for (index, member) in members.enumerated() {
        if index > 0 { lines.append(",") }
        lines.appendString(member.name)
        lines.append(":")
        try write(member.node, &lines)
      }
      lines.append("}")
    case .list(let element, let definition, let repetition):
      lines.append("[")
      try eachElement(node, definition, repetition) { isFirst in
        if !isFirst { lines.append(",") }
        try write(element, &lines)
      }
      lines.append("]")
    case .map(let key, let value, let definition, let repetition):
      lines.append("[")
      try eachElement(node, definition, repetition) { isFirst in
        lines.append(isFirst ? "[" : ",[")
        try write(key, &lines)
        if let value {
          lines.append(",")
          try write(value, &lines)
        }
        lines.append("]")
      }
      lines.append("]")
    }
  }

  private func eachElement(
    _ node: ParquetSchema.Node, _ definition: Int, _ repetition: Int, _ body: (_ isFirst: Bool) throws -> Void
  ) throws {
    let lead = columns[node.leaves.lowerBound]
    guard try lead.definition() >= definition else { return try skip(node) }
    var isFirst = true
    repeat {
      try body(isFirst)
      isFirst = false
    } while lead.repetition == repetition
  }

  /// What is null or empty has one entry in each of its columns.
  private func skip(_ node: ParquetSchema.Node) throws {
    for index in node.leaves { try columns[index].advance() }
  }

  private func writeValue(_ column: ColumnReader, _ lines: inout JSONLines) throws {
    guard try column.definition() == column.leaf.definition else {
      throw damaged("a value is missing where the schema has one")
    }
    let values = column.values
    if values.spans.isEmpty {
      lines.appendNumber(values.numbers[column.value], column.leaf.form)
    } else {
      let span = values.spans[column.value]
      values.bytes.withUnsafeBytes { bytes in
        lines.appendBytes(
          UnsafeRawBufferPointer(rebasing: bytes[Int(span.start)..<Int(span.start) + Int(span.count)]),
          column.leaf.form)
      }
    }
    try column.advance()
  }
}
