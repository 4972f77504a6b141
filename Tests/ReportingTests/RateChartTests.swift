import Reporting
import Testing

/// Axes with round values, and a picture that holds whatever the losses are.
@Suite struct RateChartTests {
  @Test func valuesOnAnAxisAreRound() {
    #expect(roundValues(0...10, about: 5) == [0, 2, 4, 6, 8, 10])
    #expect(roundValues(4.4...6.7, about: 6).map { ($0 * 10).rounded() } == [45, 50, 55, 60, 65])
    #expect(roundValues(-1...1, about: 4) == [-1, -0.5, 0, 0.5, 1])
    #expect(roundValues(2...2, about: 4) == [])
  }

  @Test func ratesArePowersOfTen() {
    #expect(rateTicks(1e-6...1, about: 10) == [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    #expect(rateTicks(1e-6...1, about: 4) == [1e-6, 1e-4, 1e-2, 1])
    #expect(rateTicks(3e-4...6e-3, about: 10) == [5e-4, 1e-3, 2e-3, 5e-3])
    #expect(rateTicks(1e-6...1e30, about: 10).count <= 10)
  }

  @Test func textIsText() {
    let chart = RateChart(
      title: "<b>&", subtitle: "\"<script>\"", dots: [(1e-3, 2), (1e-2, 1e300)], curve: [(1e-3, 2), (1e-2, 2)],
      shown: 1...3, marks: [(2e-3, "</svg>")])
    #expect(!chart.svg.contains("<b>") && !chart.svg.contains("<script>"))
    #expect(chart.svg.components("</svg>") == 1 && chart.svg.contains("&lt;/svg&gt;"))
    #expect(!chart.svg.contains("nan") && !chart.svg.contains("inf"))
  }

  /// One point, losses that are all alike, none at all.
  @Test(arguments: [[], [2.5], [2.5, 2.5]]) func fewPointsAreDrawnToo(_ losses: [Double]) {
    let points = losses.enumerated().map { (rate: 1e-4 * Double($0 + 1), loss: $1) }
    let svg = RateChart(title: "t", subtitle: "s", dots: points, curve: points, shown: nil, marks: []).svg
    #expect(svg.components("<circle ") == losses.count && !svg.contains("nan") && !svg.contains("inf"))
  }
}

extension String {
  /// How often `part` occurs.
  fileprivate func components(_ part: String) -> Int {
    split(separator: part, omittingEmptySubsequences: false).count - 1
  }
}
