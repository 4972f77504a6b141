import CKernels
import Core
import Glibc

extension ProductSum {
  /// As `compute`, with the instructions of an x86-64 level.
  package func computeOnPanels(
    into c: MutableFloats, stride: Int, scratch: FloatBuffer, level: Int32, _ compute: Compute
  ) {
    let shape = TaskGrid.Shape(rows: m, columns: n, k: first.k, setup: first.setupRows, halves: first.comesInHalves)
    let grid = TaskGrid(shape, threads: compute.threads)
    let isSmall = m * n * first.k < Self.threadingThreshold
    let threads = isSmall ? 1 : min(compute.threads, grid.count)
    nonisolated(unsafe) let memory = scratch.ensure(threads * Self.scratchFloats)
    nonisolated(unsafe) let (sum, c) = (self, c)
    let isRecorded = LoopRecorder.recordsSetups
    func cut() -> LoopCut { isSmall ? .serial : LoopCut { TaskGrid(shape, threads: $0).pieces } }
    parallelFor(grid.count, threads: threads, cut: cut()) { task, worker in
      let (panels, rows) = grid.task(task)
      let own = memory + worker * Self.scratchFloats
      var destination = PanelDestination(
        values: c + rows.lowerBound * stride, stride: stride, rows: rows,
        addend: sum.addend.map { ($0, sum.addendStride) },
        bias: sum.bias, level: level, setupSeconds: isRecorded ? 0 : nil)
      destination.add(sum.first, sum.second, panels, edge: grid.edge, columns: sum.n, own)
      if let seconds = destination.setupSeconds { LoopRecorder.addSetup(seconds, worker: worker) }
    }
  }

  /// Multiplications below which waking a second thread costs more than it brings.
  private static let threadingThreshold = 1 << 19
}

/// How a product is cut into tasks: some panels, or halves of them, by some rows. The last rows of each panel may be cut finer:
/// those come when all others are taken, for whichever thread is free first.
private struct TaskGrid {
  struct Shape {
    var rows: Int
    var columns: Int
    var k: Int
    /// Laying out a panel takes about as long as multiplying so many rows by it.
    var setup: Int
    /// Whether half a panel is laid out in half the time.
    var halves: Bool
  }

  /// Columns of a panel, or of half of one.
  let edge: Int
  let panels: Int
  let panelsPerTask: Int
  let rows: Int
  /// The first tasks' of each panel, which may be more than there are rows.
  private let wide: RowCut
  /// The others'.
  private let fine: RowCut

  /// Tasks of so many rows.
  private struct RowCut {
    var tasks: Int
    var rowsPerTask: Int
    var rows: Int { tasks * rowsPerTask }
  }

  /// Rows of a tile for the widest vectors, twice: fewer leave registers unused.
  private static let leastRows = 12

  /// The tasks that are done the earliest, though each of them lays out its panels for itself. Where k is far longer than a
  /// panel, a task takes several panels, so that it can use whole rows of B while they are in the cache.
  init(_ shape: Shape, threads: Int) {
    let (rows, least) = (shape.rows, Self.leastRows)
    self.rows = rows
    let (whole, late) = (ProductSum.panelColumns, Self.lateness(threads))
    var best = (
      edge: whole, wide: RowCut(tasks: 1, rowsPerTask: max(least, rows)), fine: RowCut(tasks: 0, rowsPerTask: least),
      cost: Double.infinity
    )
    for edge in shape.halves && shape.columns > whole ? [whole, whole / 2] : [whole] {
      let panels = (shape.columns + edge - 1) / edge
      let some = Self.panelsPerTask(panels, shape.k, threads)
      let groups = (panels + some - 1) / some
      var before = 0
      for shares in 1...max(1, min(rows / least, 4 * threads)) {
        let part = Self.wholeTiles(rows, in: shares)
        if part == before { continue }
        before = part
        let parts = (rows + part - 1) / part
        for split in threads > 2 ? [1, 2, 4] : [1] {
          var (wide, fine) = (RowCut(tasks: parts, rowsPerTask: part), RowCut(tasks: 0, rowsPerTask: least))
          if split > 1 {
            wide.tasks -= 1
            let rest = rows - wide.rows
            if rest < split * least { continue }
            fine.rowsPerTask = Self.wholeTiles(rest, in: split)
            fine.tasks = (rest + fine.rowsPerTask - 1) / fine.rowsPerTask
          }
          func seconds(_ cut: RowCut) -> Double { Double(some * edge * (min(cut.rowsPerTask, rows) + shape.setup)) }
          let rounds = (groups * wide.tasks + threads - 1) / threads
          var cost = (Double(rounds) + late * Double(rounds).squareRoot()) * seconds(wide)
          if fine.tasks > 0 {
            let all = Double(groups) * (Double(wide.tasks) * seconds(wide) + Double(fine.tasks) * seconds(fine))
            cost = max(cost, all / Double(threads) + Self.left * seconds(fine))
          }
          // Halves read A twice as often.
          if edge < whole { cost *= 1.04 }
          if cost < best.cost { best = (edge, wide, fine, cost) }
        }
      }
    }
    (edge, wide, fine) = (best.edge, best.wide, best.fine)
    panels = (shape.columns + edge - 1) / edge
    panelsPerTask = Self.panelsPerTask(panels, shape.k, threads)
  }

  /// Of a task: how long threads wait for the last one, where each takes the next task as soon as it is free.
  private static let left = 0.75

  /// How late the last thread is after a round of equal tasks, in tasks; after several of them, times the root of how many. Of
  /// two threads none; of more none goes at quite the others' pace: by a tenth of a task, the last of them by some tenths.
  private static func lateness(_ threads: Int) -> Double {
    threads > 2 ? 0.1 * (2 * log(Double(threads))).squareRoot() : 0
  }

  /// Rows of each of so many shares: whole tiles.
  private static func wholeTiles(_ rows: Int, in shares: Int) -> Int {
    max(leastRows, ((rows + shares - 1) / shares + leastRows - 1) / leastRows * leastRows)
  }

  private static func panelsPerTask(_ panels: Int, _ k: Int, _ threads: Int) -> Int {
    k > 8 * ProductSum.panelSteps ? max(1, (panels + threads - 1) / threads) : 1
  }

  private var groups: Int { (panels + panelsPerTask - 1) / panelsPerTask }
  var count: Int { groups * (wide.tasks + fine.tasks) }

  /// Each task's share of all rows of all panels; and each lays out its panels for itself.
  var pieces: [LoopPiece] {
    (0..<count).map { index in
      let (some, rows) = task(index)
      return LoopPiece(
        share: Double(some.count * rows.count) / Double(panels * self.rows),
        setups: Double(some.count * edge) / Double(ProductSum.panelColumns))
    }
  }

  func task(_ index: Int) -> (panels: Range<Int>, rows: Range<Int>) {
    let isWide = index < groups * wide.tasks
    let (place, cut) = isWide ? (index, wide) : (index - groups * wide.tasks, fine)
    let firstPanel = place / cut.tasks * panelsPerTask
    let firstRow = (isWide ? 0 : wide.rows) + place % cut.tasks * cut.rowsPerTask
    return (
      firstPanel..<min(firstPanel + panelsPerTask, panels), firstRow..<min(firstRow + cut.rowsPerTask, rows)
    )
  }
}

/// Rows of C that terms are added to.
private struct PanelDestination {
  /// The first of `rows`.
  let values: MutableFloats
  let stride: Int
  let rows: Range<Int>
  /// What C starts from, from row 0 on.
  var addend: (values: Floats, stride: Int)?
  var bias: Floats?
  let level: Int32
  /// What laying out panels took; nil where nobody wants to know.
  var setupSeconds: Double?

  /// B of some columns as `ProductTerm.panel` gives it, timed where that is asked for.
  private mutating func panel(
    _ term: ProductTerm, _ span: Range<Int>, column: Int, width: Int, _ scratch: MutableFloats
  ) -> (Floats, Int) {
    guard let seconds = setupSeconds else {
      return term.panel(span, column: column, width: width, rows: rows.count, scratch, level: level)
    }
    let start = wallSeconds()
    defer { setupSeconds = seconds + wallSeconds() - start }
    return term.panel(span, column: column, width: width, rows: rows.count, scratch, level: level)
  }

  /// The first pass over k starts from addend and bias, the later ones from what is there; the last one goes on to the
  /// second term before it leaves the registers.
  mutating func add(
    _ first: ProductTerm, _ second: ProductTerm?, _ panels: Range<Int>, edge: Int, columns: Int,
    _ scratch: MutableFloats
  ) {
    let passes = max(1, (first.k + ProductSum.panelSteps - 1) / ProductSum.panelSteps)
    // Whole panels, as what is laid out transposed comes in those.
    let whole = ProductSum.panelColumns
    let steps = ((first.k + passes - 1) / passes + whole - 1) / whole * whole
    // One that is longer than a panel gets passes of its own.
    let joined = second.flatMap { $0.k <= ProductSum.panelSteps && $0.step == 1 ? $0 : nil }
    var from = 0
    repeat {
      let span = from..<min(from + steps, first.k)
      for panel in panels {
        let column = panel * edge
        let width = min(edge, columns - column)
        var product = product(column: column, width: width)
        let b = self.panel(first, span, column: column, width: width, scratch)
        (product.a, product.a_row, product.a_step) = (first.row(rows.lowerBound, span), first.rowStride, first.step)
        (product.b, product.b_row, product.k) = (b.0, b.1, span.count)
        if edge < whole {
          // What would be brought near are whole panels.
        } else if panel + 1 < panels.upperBound {
          first.foresee(span, column: column + edge, &product)
        } else {
          first.foresee(
            span.upperBound..<min(span.upperBound + steps, first.k), column: panels.lowerBound * edge, &product)
        }
        if let joined, span.upperBound == first.k {
          let b = self.panel(
            joined, 0..<joined.k, column: column, width: width, scratch + ProductSum.scratchFloats / 2)
          (product.a2, product.a2_row) = (joined.row(rows.lowerBound, 0..<joined.k), joined.rowStride)
          (product.b2, product.b2_row, product.k2) = (b.0, b.1, joined.k)
        }
        sft_panel_multiply(level, &product)
      }
      addend = (Floats(values) - rows.lowerBound * stride, stride)
      bias = nil
      from = span.upperBound
    } while from < first.k
    if let second, joined == nil { add(second, nil, panels, edge: edge, columns: columns, scratch) }
  }

  /// C and what it starts from.
  private func product(column: Int, width: Int) -> sft_panel_product {
    var product = sft_panel_product()
    (product.c, product.c_row) = (values + column, stride)
    if let addend {
      (product.addend, product.addend_row) = (addend.values + rows.lowerBound * addend.stride + column, addend.stride)
    }
    product.bias = bias.map { $0 + column }
    (product.m, product.n) = (rows.count, width)
    return product
  }
}

extension ProductTerm {
  /// A from a row and a step over k on.
  fileprivate func row(_ row: Int, _ span: Range<Int>) -> Floats { a + row * rowStride + span.lowerBound * step }

  /// Has a product bring the next one's B near, where it lies in pieces far apart.
  fileprivate func foresee(_ span: Range<Int>, column: Int, _ product: inout sft_panel_product) {
    guard case .panelsTransposed(let matrix) = b, !span.isEmpty else { return }
    let edge = ProductSum.panelColumns
    let row = firstColumn + column
    // Runs of 64 rows: there may be fewer.
    guard row + edge <= matrix.rows else { return }
    product.ahead = matrix.panel((firstRow + span.lowerBound) / edge, row: row)
    (product.ahead_runs, product.ahead_step) = ((span.count + edge - 1) / edge, matrix.rows * edge)
  }

  /// Laying out a panel of B, or reading one that another thread has read, takes about as long as multiplying so many rows by it.
  fileprivate var setupRows: Int {
    switch b {
    case .panels, .stored: 4
    case .transposed, .panelsTransposed, .half, .halfTransposed: 8
    case .fourBit, .fourBitTransposed, .blocks, .blocksTransposed: 16
    }
  }

  /// Whether half a panel of B is laid out in half the time: 4-bit weights and blocks are decoded in runs.
  fileprivate var comesInHalves: Bool {
    switch b {
    case .panels, .stored, .transposed, .panelsTransposed, .half, .halfTransposed, .fourBitTransposed,
      .blocksTransposed:
      true
    case .fourBit, .blocks: false
    }
  }

  /// Rows up to which reading B where it lies costs less than laying it out.
  private static let directRows = 32

  /// scale · B of `span` × `width` columns, and its row stride.
  fileprivate func panel(
    _ span: Range<Int>, column: Int, width: Int, rows: Int, _ scratch: MutableFloats, level: Int32
  ) -> (Floats, Int) {
    let (k, from, column) = (span.count, firstRow + span.lowerBound, firstColumn + column)
    switch b {
    case .stored(let values, let stride):
      let place = values + from * stride + column
      if rows <= Self.directRows, width % (ProductSum.panelColumns / 2) == 0, scale == 1 { return (place, stride) }
      sft_panel_pack(place, stride, width, k, scale, scratch)
    case .transposed(let values, let stride):
      sft_panel_pack_transposed(values + column * stride + from, stride, width, k, scale, scratch)
    case .panels(let matrix):
      precondition(scale == 1, "a weight laid out beforehand is taken as it is")
      let place = matrix.panel(column / ProductSum.panelColumns, row: from) + column % ProductSum.panelColumns
      return (place, ProductSum.panelColumns)
    case .panelsTransposed(let matrix):
      let edge = ProductSum.panelColumns
      for x in Swift.stride(from: 0, to: k, by: edge) {
        sft_panel_pack_transposed(
          matrix.panel((from + x) / edge, row: column), edge, width, min(edge, k - x), scale, scratch + x * edge)
      }
    case .fourBit(let matrix):
      precondition(scale == 1, "a 4-bit weight is taken as it is")
      withUnsafePointer(to: matrix.memory) {
        for x in 0..<k {
          let row = scratch + x * ProductSum.panelColumns
          sft_four_bit_decode(level, $0, (from + x) * matrix.inputs + column, width, row)
          for j in width..<ProductSum.panelColumns { row[j] = 0 }
        }
      }
    case .fourBitTransposed(let matrix):
      decodeTransposed(from..<from + k, width: width, scratch) { row, place, steps, block in
        withUnsafePointer(to: matrix.memory) {
          sft_four_bit_decode(level, $0, (column + row) * matrix.inputs + place, steps, block)
        }
      }
    case .half(let matrix):
      precondition(scale == 1, "a 16-bit weight is taken as it is")
      matrix.pack(from..<from + k, columns: column..<column + width, into: scratch)
    case .halfTransposed(let matrix):
      matrix.packTransposed(column..<column + width, columns: from..<from + k, scale: scale, into: scratch)
    case .blocks(let matrix):
      precondition(scale == 1, "a weight in blocks is taken as it is")
      for x in 0..<k {
        let row = scratch + x * ProductSum.panelColumns
        matrix.decode(row: from + x, column: column, count: width, into: row, level: level)
        for j in width..<ProductSum.panelColumns { row[j] = 0 }
      }
    case .blocksTransposed(let matrix):
      decodeTransposed(from..<from + k, width: width, scratch) { row, place, steps, block in
        matrix.decode(row: column + row, column: place, count: steps, into: block, level: level)
      }
    }
    return (Floats(scratch), ProductSum.panelColumns)
  }

  /// Blocks of 64 × 64 are decoded to a corner of the scratch, and laid out from there; `decode` gives some elements of one of
  /// the matrix's rows, counted from the panel's first.
  private func decodeTransposed(
    _ span: Range<Int>, width: Int, _ scratch: MutableFloats,
    _ decode: (_ row: Int, _ place: Int, _ steps: Int, _ block: MutableFloats) -> Void
  ) {
    let edge = ProductSum.panelColumns
    let block = scratch + ProductSum.panelSteps * edge
    for x in Swift.stride(from: 0, to: span.count, by: edge) {
      let steps = min(edge, span.count - x)
      for j in 0..<width { decode(j, span.lowerBound + x, steps, block + j * edge) }
      sft_panel_pack_transposed(block, edge, width, steps, scale, scratch + x * edge)
    }
  }
}
