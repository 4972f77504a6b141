import Core
import Glibc

/// Losses over learning rates as a picture: an SVG that needs nothing beside it. The rates' axis is logarithmic.
public struct RateChart {
  public typealias Point = (rate: Double, loss: Double)

  private let title: String
  private let subtitle: String
  private let dots: [Point]
  private let curve: [Point]
  private let marks: [(rate: Double, text: String)]
  private let rates: ClosedRange<Double>
  private let losses: ClosedRange<Double>

  private static let (width, height, left, right, top, bottom) = (760.0, 420.0, 76.0, 22.0, 66.0, 52.0)

  /// `dots` and the `curve` through them; losses outside of `shown` are drawn at its ends. `marks` are rates to point out.
  public init(
    title: String, subtitle: String, dots: [Point], curve: [Point], shown: ClosedRange<Double>?,
    marks: [(rate: Double, text: String)]
  ) {
    (self.title, self.subtitle, self.dots, self.curve, self.marks) = (title, subtitle, dots, curve, marks)
    rates = (dots.first?.rate ?? 1e-6)...max(dots.last?.rate ?? 1, 1.0000001 * (dots.first?.rate ?? 1e-6))
    let values = dots.map(\.loss)
    let range = shown ?? (values.min() ?? 0)...(values.max() ?? 1)
    let margin = max(0.06 * (range.upperBound - range.lowerBound), 1e-3 * abs(range.upperBound), 1e-9)
    losses = (range.lowerBound - margin)...(range.upperBound + margin)
  }

  public var svg: String {
    var parts = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"420\" viewBox=\"0 0 760 420\" role=\"img\" "
        + "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#667078\">",
      "<title>\(Page.escaped("\(title), \(subtitle)"))</title>",
      "<rect width=\"760\" height=\"420\" fill=\"#ffffff\"/>",
      "<text x=\"22\" y=\"28\" font-size=\"16\" font-weight=\"600\" fill=\"#1d2023\">\(Page.escaped(title))</text>",
    ]
    for (index, line) in Self.lines(subtitle, 118).prefix(2).enumerated() {
      parts.append("<text x=\"22\" y=\"\(46 + 15 * index)\">\(Page.escaped(line))</text>")
    }
    parts += axes()
    for (row, mark) in marks.enumerated() { parts += self.mark(mark.rate, mark.text, row: row) }
    parts += dots.map {
      "<circle cx=\"\(x($0.rate))\" cy=\"\(y($0.loss))\" r=\"2.2\" fill=\"#8a6d1f\" opacity=\"0.55\"/>"
    }
    let place = curve.map { "\(x($0.rate)),\(y($0.loss))" }.joined(separator: " ")
    parts.append("<polyline points=\"\(place)\" fill=\"none\" stroke=\"#175ea8\" stroke-width=\"2.2\"/>")
    return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  private func axes() -> [String] {
    let (bottom, right) = (Self.height - Self.bottom, Self.width - Self.right)
    func line(_ x1: String, _ y1: String, _ x2: String, _ y2: String) -> String {
      "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" stroke=\"#dfe1de\"/>"
    }
    var parts: [String] = []
    let values = roundValues(losses, about: 6)
    for (value, label) in zip(values, axisLabels(values)) {
      parts.append(line(fixed(Self.left, 1), y(value), fixed(right, 1), y(value)))
      parts.append(
        "<text x=\"\(fixed(Self.left - 8, 1))\" y=\"\(y(value))\" dy=\"4\" text-anchor=\"end\">\(label)</text>")
    }
    for value in rateTicks(rates, about: 10) {
      parts.append(line(x(value), fixed(Self.top, 1), x(value), fixed(bottom, 1)))
      parts.append(
        "<text x=\"\(x(value))\" y=\"\(fixed(bottom + 18, 1))\" text-anchor=\"middle\">\(scientific(value))</text>")
    }
    let middle = fixed((Self.left + right) / 2, 1)
    parts.append(
      "<text x=\"\(middle)\" y=\"\(fixed(bottom + 40, 1))\" text-anchor=\"middle\">learning rate, logarithmic; dots are "
        + "updates, the line is their loss smoothed</text>")
    let height = fixed((Self.top + bottom) / 2, 1)
    parts.append(
      "<text transform=\"translate(22 \(height)) rotate(-90)\" text-anchor=\"middle\">loss, nats a token</text>")
    return parts
  }

  /// A line with its text, which stands below those of the rows before.
  private func mark(_ rate: Double, _ text: String, row: Int) -> [String] {
    let isLeft = position(rate) < 0.8
    return [
      "<line x1=\"\(x(rate))\" y1=\"\(fixed(Self.top, 1))\" x2=\"\(x(rate))\" y2=\"\(fixed(Self.height - Self.bottom, 1))\" "
        + "stroke=\"#1d7a46\" stroke-width=\"1.4\" stroke-dasharray=\"5 4\"/>",
      "<text x=\"\(x(rate))\" y=\"\(fixed(Self.top + 14 + 16 * Double(row), 1))\" dx=\"\(isLeft ? 6 : -6)\" "
        + "text-anchor=\"\(isLeft ? "start" : "end")\" fill=\"#1d7a46\">\(Page.escaped(text))</text>",
    ]
  }

  /// From 0 at the lowest rate to 1.
  private func position(_ rate: Double) -> Double {
    log(rate / rates.lowerBound) / log(rates.upperBound / rates.lowerBound)
  }

  private func x(_ rate: Double) -> String {
    fixed(Self.left + position(rate) * (Self.width - Self.left - Self.right), 1)
  }

  private func y(_ loss: Double) -> String {
    let inside = min(max(loss, losses.lowerBound), losses.upperBound)
    let share = (inside - losses.lowerBound) / (losses.upperBound - losses.lowerBound)
    return fixed(Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom), 1)
  }

  /// Broken at spaces.
  private static func lines(_ text: String, _ width: Int) -> [String] {
    text.split(separator: " ").reduce(into: [""]) { lines, word in
      if !lines[lines.count - 1].isEmpty, lines[lines.count - 1].count + 1 + word.count > width { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
  }
}

/// Round values within a range, about so many.
public func roundValues(_ range: ClosedRange<Double>, about count: Int) -> [Double] {
  let raw = (range.upperBound - range.lowerBound) / Double(count)
  guard raw > 0, raw.isFinite else { return [] }
  let power = pow(10, floor(log10(raw)))
  let factors: [Double] = [1, 2, 5]
  let step = (factors.first { $0 * power >= raw * (1 - 1e-9) } ?? 10) * power
  // An end that is round itself may be a rounding error beyond.
  let (first, last) = (
    (range.lowerBound / step - 1e-9).rounded(.up), (range.upperBound / step + 1e-9).rounded(.down)
  )
  return stride(from: first, through: last, by: 1).map { $0 * step }
}

/// Powers of ten within a range, about so many at most; 1, 2 and 5 times them where there are few.
public func rateTicks(_ range: ClosedRange<Double>, about count: Int) -> [Double] {
  let decades = Int(floor(log10(range.lowerBound)))...Int(floor(log10(range.upperBound)))
  let every = (decades.count + count - 1) / count
  let digits = decades.count * 3 <= count ? [1, 2, 5] : [1]
  let (low, high) = (range.lowerBound * (1 - 1e-9), range.upperBound * (1 + 1e-9))
  var ticks: [Double] = []
  for power in decades where power % every == 0 {
    for digit in digits {
      // The nearest number to the text, which a power of ten need not be.
      if let value = Double("\(digit)e\(power)"), low <= value, value <= high { ticks.append(value) }
    }
  }
  return ticks
}

/// Evenly spaced values as an axis shows them: all with as many decimals as tell neighbours apart.
public func axisLabels(_ values: [Double]) -> [String] {
  guard values.count > 1, values[1] > values[0] else { return values.map(scientific) }
  let decimals = max(0, -Int(floor(log10(values[1] - values[0]) + 1e-9)))
  return values.map { fixed(abs($0) < (values[1] - values[0]) / 2 ? 0 : $0, decimals) }
}
