import Core
import Glibc
import Pipeline
import Reporting

/// A range test in the terminal: losses over rates, both axes labelled, and what follows from them.
struct RangeView {
  private let report: RangeReport
  private let width: Int
  private let rates: ClosedRange<Double>
  private let losses: ClosedRange<Double>

  /// Round losses, and how they are written.
  private let ticks: [(loss: Double, label: String)]
  /// Columns of their labels, and the axis.
  private let labelWidth: Int

  private static let height = 15

  init(_ report: RangeReport, columns: Int) {
    self.report = report
    let (first, last) = (report.points.first?.lr ?? 1, report.points.last?.lr ?? 1)
    rates = first...max(last, first * 1.0000001)
    let values = report.points.map(\.loss)
    let range = report.shown ?? (values.min() ?? 0)...(values.max() ?? 1)
    losses = range.lowerBound...max(range.upperBound, range.lowerBound + 1e-6)
    let round = roundValues(losses, about: 5)
    ticks = Array(zip(round, axisLabels(round)))
    labelWidth = max(8, 1 + (ticks.map(\.label.count).max() ?? 0))
    width = max(20, min(columns, 100) - labelWidth - 2)
  }

  var text: String {
    var lines = report.points.isEmpty ? [] : plot + [""]
    let name = { (label: String) in padded(label, 12) }
    if let failure = report.failure {
      lines.append(
        name("ended")
          + "update \(failure.step), lr \(scientific(failure.lr, 2)): loss or gradient is not a finite number")
    } else if report.end == .diverged, let last = report.points.last {
      lines.append(
        name("ended") + "update \(last.step), lr \(scientific(last.lr, 2)): the loss is above four times its minimum")
    }
    if let steepest = report.steepest { lines.append(name("steepest") + scientific(steepest, 2)) }
    if let lowest = report.lowest { lines.append(name("lowest") + scientific(lowest, 2)) }
    if let rate = report.suggestion {
      lines.append(name("suggested") + Terminal.style(scientific(rate), "1"))
      lines.append(name("try") + "sft train --lr \(scientific(rate))")
      lines.append(name("compare") + "sft train --lr \(neighbours(rate).map(scientific).joined(separator: ","))")
      lines.append(name("") + "with the other options as they were here")
    } else if let reason = report.reason {
      lines += wrapped("no suggestion: \(reason).", max(30, width + labelWidth))
    }
    return lines.joined(separator: "\n")
  }

  /// About a third of it, itself, and about three times that.
  private func neighbours(_ rate: Double) -> [Double] {
    [rate / 3, rate, rate * 3].map { Double(scientific($0, 1)) ?? $0 }
  }

  // MARK: - The plot

  private var plot: [String] {
    var cells = [[Character]](repeating: [Character](repeating: " ", count: width), count: Self.height)
    if let rate = report.suggestion { for row in cells.indices { cells[row][column(rate)] = "┊" } }
    for point in report.points {
      let row = row(point.loss)
      cells[max(0, row)][column(point.lr)] = row < 0 ? "↑" : "·"
    }
    draw(&cells)
    var lines = [
      padded("  loss", labelWidth) + " · each update   ● smoothed" + (report.suggestion == nil ? "" : "   ┊ suggested")
    ]
    let labelled = Dictionary(ticks.map { (row($0.loss), $0.label) }) { first, _ in first }
    for (index, row) in cells.enumerated() {
      let label = labelled[index]
      lines.append(
        paddedLeft(label ?? "", labelWidth - 1) + " " + (label == nil ? "│" : "┤") + trimmedRight(String(row)))
    }
    return lines + rateAxis
  }

  /// The smoothed curve, a mark in each column.
  private func draw(_ cells: inout [[Character]]) {
    let points = report.points.map { (column: column($0.lr), row: row($0.smoothed)) }
    if let only = points.first { cells[min(max(only.row, 0), Self.height - 1)][only.column] = "●" }
    for (from, to) in zip(points, points.dropFirst()) {
      for column in from.column...max(from.column, to.column) {
        let share = to.column == from.column ? 0 : Double(column - from.column) / Double(to.column - from.column)
        let row = Int((Double(from.row) + share * Double(to.row - from.row)).rounded())
        cells[min(max(row, 0), Self.height - 1)][column] = "●"
      }
    }
  }

  private var rateAxis: [String] {
    var axis = [Character](repeating: "─", count: width)
    var labels = String(repeating: " ", count: labelWidth + 1)
    let everyTick = rateTicks(rates, about: max(2, width / 8))
    for tick in everyTick {
      let place = column(tick)
      axis[place] = "┬"
      let text = scientific(tick)
      let start = min(max(labelWidth + 1 + place - text.count / 2, 0), labelWidth + 1 + width - text.count)
      guard start > labels.count || labels.allSatisfy({ $0 == " " }) else { continue }
      labels = padded(labels, start) + text
    }
    return [String(repeating: " ", count: labelWidth) + "└" + String(axis), trimmedRight(labels)]
  }

  private func column(_ rate: Double) -> Int {
    let share = log(rate / rates.lowerBound) / log(rates.upperBound / rates.lowerBound)
    return min(max(Int((share * Double(width - 1)).rounded()), 0), width - 1)
  }

  /// From the top; less than 0 where the loss is above what is shown.
  private func row(_ loss: Double) -> Int {
    let share = (loss - losses.lowerBound) / (losses.upperBound - losses.lowerBound)
    return min(Int(((1 - min(max(share, -1), 2)) * Double(Self.height - 1)).rounded()), Self.height - 1)
  }
}
