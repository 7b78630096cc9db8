import Reporting

/// How one provider's scores spread, as bars, and the pool's, as a line over them.
struct ScoreChart {
  var id: String
  var title: String
  /// The outer ends of the first and the last bin.
  var range: ClosedRange<Double>
  /// The share of the rows in each bin.
  var own: [Double]
  var pool: [Double]
  /// Medians.
  var medians: (own: Double?, pool: Double?)

  private let left = 34.0
  private let top = 8.0
  private let bottom = 112.0

  func markup() -> Markup {
    let across = Scale.around([range.lowerBound, range.upperBound], start: left, end: Chart.width - 6)
    let up = Scale.fromZero(to: (own + pool).max() ?? 1, start: bottom, end: top, count: 3)
    let content: Markup = """
      \(Chart.lines(up.scale, ticks: up.ticks, left: left, right: Chart.width - 6) { NumberText.tick(100 * $0) + " %" })
      \(Chart.columns(across.scale, ticks: across.ticks, top: top, bottom: bottom) { NumberText.tick($0) })
      \(bars(across.scale, up.scale))
      \(outline(across.scale, up.scale))
      """
    return Chart.svg(id: id, height: bottom + 20, title: title, description: description(), content)
  }

  private var width: Double { (range.upperBound - range.lowerBound) / Double(pool.count) }

  private func bars(_ across: Scale, _ up: Scale) -> Markup {
    own.enumerated().map { place, share -> Markup in
      let start = across(range.lowerBound + Double(place) * width)
      let end = across(range.lowerBound + Double(place + 1) * width)
      guard share > 0 else { return "" }
      return """
        <rect class="bar valuator" x="\(start + 0.4)" y="\(up(share))" width="\(max(0.6, end - start - 0.8))" \
        height="\(bottom - up(share))"/>
        """
    }.joined()
  }

  private func outline(_ across: Scale, _ up: Scale) -> Markup {
    var path: Markup = "M\(across(range.lowerBound)) \(bottom)"
    for (place, share) in pool.enumerated() {
      path = """
        \(path)V\(up(share))H\(across(range.lowerBound + Double(place + 1) * width))
        """
    }
    return "<path class=\"curve reference\" d=\"\(path)V\(bottom)\"/>"
  }

  private func description() -> String {
    let below = own.indices.filter { range.lowerBound + (Double($0) + 0.5) * width < 0 }.reduce(0) {
      $0 + own[$1]
    }
    return
      "Scores from \(NumberText.value(range.lowerBound)) to \(NumberText.value(range.upperBound)):"
      + " median \(NumberText.value(medians.own)), the pool’s \(NumberText.value(medians.pool));"
      + " \(NumberText.percent(below)) of the rows lie below zero."
  }
}
