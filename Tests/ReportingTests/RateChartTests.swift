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

  @Test func labelsOfAnAxisDifferAndAreOfOnePrecision() {
    #expect(axisLabels([0.5, 1, 1.5, 2]) == ["0.5", "1.0", "1.5", "2.0"])
    #expect(axisLabels([0.002, 0.0025, 0.003]) == ["0.0020", "0.0025", "0.0030"])
    #expect(axisLabels([2.40001, 2.40002]) == ["2.40001", "2.40002"])
    #expect(axisLabels([-200, 0, 200]) == ["-200", "0", "200"])
    #expect(axisLabels(roundValues(-0.1...0.3, about: 4)) == ["-0.1", "0.0", "0.1", "0.2", "0.3"])
    #expect(axisLabels([]) == [])
    for range in [1.9...2.1, 0.0001...0.00042, 99...101.5, 1e-6...7e5] {
      let labels = axisLabels(roundValues(range, about: 6))
      #expect(Set(labels).count == labels.count && labels.count > 2)
    }
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
