import Foundation

/// How true a valuator becomes with more labels: Spearman over all rows (filled) and within a source (hollow), by the
/// logarithm of the number of labels.
struct LabelCurveChart {
  var id: String
  var title: String
  var points: [LabelCurvePoint]

  private let left = 40.0
  private let top = 22.0
  private let bottom = 236.0
  private let right = Chart.width - 14

  func markup() -> Markup {
    let counts = points.map { Double($0.labels) }
    let x = Scale(
      domain: (counts.min() ?? 1)...(counts.max() ?? 2), range: (left + 8, right), isLogarithmic: true)
    let values = points.flatMap { [$0.spearman, $0.withinSource].compactMap { $0 } }
    let (y, ticks) = Scale.correlations(values, start: bottom, end: top)
    let content: Markup = """
      \(Chart.lines(y, ticks: ticks, left: left, right: right) { NumberText.tick($0) })
      \(Chart.columns(x, ticks: shownCounts(x), top: top, bottom: bottom) { NumberText.count(Int($0)) })
      <text class="tick" x="0" y="11">Spearman</text>
      <text class="tick end" x="\(right)" y="\(bottom + 31)">labels learnt from</text>
      \(series(x, y, isHollow: true) { $0.withinSource })
      \(series(x, y, isHollow: false) { $0.spearman })
      """
    return Chart.svg(id: id, height: bottom + 38, title: title, description: description(), content)
  }

  private func series(
    _ x: Scale, _ y: Scale, isHollow: Bool, _ value: (LabelCurvePoint) -> Double?
  ) -> Markup {
    let places = points.compactMap { point in
      value(point).map { (x: x(Double(point.labels)), y: y($0)) }
    }
    let lines = zip(places, places.dropFirst()).map { from, to -> Markup in
      "<line class=\"chance\" x1=\"\(from.x)\" y1=\"\(from.y)\" x2=\"\(to.x)\" y2=\"\(to.y)\"/>"
    }
    let marks = places.map { Chart.mark(.valuator, x: $0.x, y: $0.y, isHollow: isHollow) }
    return (lines + marks).joined()
  }

  /// Counts whose numbers do not run into each other: the last one, and before it those far enough away.
  private func shownCounts(_ x: Scale) -> [Double] {
    var shown: [Double] = []
    for count in points.map({ Double($0.labels) }).reversed() {
      if let next = shown.last, x(next) - x(count) < 42 { continue }
      shown.append(count)
    }
    return shown.reversed()
  }

  private func description() -> String {
    let parts = points.map { point in
      "\(NumberText.count(point.labels)) labels: \(NumberText.correlation(point.spearman)) overall,"
        + " \(NumberText.correlation(point.withinSource)) within a source"
    }
    return parts.joined(separator: "; ") + "."
  }
}
