import RankStatistics
import Reporting

/// Each provider's share of the value: a mark with its interval, and the share in numbers.
struct ShareChart {
  struct Row {
    var name: String
    var share: Double
    var interval: Interval?
  }

  var id: String
  var title: String
  var rows: [Row]

  private let rowHeight = 24.0
  private let top = 10.0

  func markup() -> Markup {
    let labels = Chart.labelWidth(rows.map(\.name))
    let bottom = top + Double(rows.count) * rowHeight
    let ends = rows.map { $0.interval?.upper ?? $0.share }
    let (scale, ticks) = Scale.fromZero(to: ends.max() ?? 1, start: labels + 8, end: Chart.width - 62)
    let content: Markup = """
      \(Chart.columns(scale, ticks: ticks, top: top - 4, bottom: bottom) { NumberText.tick(100 * $0) + " %" })
      \(rows.enumerated().map { row(at: $0.offset, $0.element, scale, labels: labels) })
      """
    return Chart.svg(id: id, height: bottom + 20, title: title, description: description(), content)
  }

  private func row(at place: Int, _ row: Row, _ scale: Scale, labels: Double) -> Markup {
    let y = top + (Double(place) + 0.5) * rowHeight
    let whisker: Markup =
      row.interval.map { interval in
        """
        <line class="whisker valuator" x1="\(scale(interval.lower))" y1="\(y)" x2="\(scale(interval.upper))" \
        y2="\(y)"/>
        """
      } ?? ""
    return """
      <text class="label" x="0" y="\(y + 4)">\(Chart.fitted(row.name, width: labels))</text>
      \(whisker)\(Chart.mark(.valuator, x: scale(row.share), y: y))
      <text class="number end" x="\(Chart.width - 2)" y="\(y + 4)">\(NumberText.finePercent(row.share))</text>
      """
  }

  private func description() -> String {
    rows.map { row in
      let interval =
        row.interval.map {
          ", interval \(NumberText.finePercent($0.lower)) to \(NumberText.finePercent($0.upper))"
        } ?? ""
      return "\(row.name): \(NumberText.finePercent(row.share))\(interval)"
    }.joined(separator: "; ")
  }
}

extension Scale {
  /// A linear scale for shares: from zero to a round number that is at least `highest`.
  static func fromZero(
    to highest: Double, start: Double, end: Double, count: Int = 5
  ) -> (scale: Scale, ticks: [Double]) {
    let ticks = Scale.around([0, max(highest, 0.001)], start: start, end: end, count: count).ticks.filter {
      $0 > -1e-9
    }
    return (Scale(domain: 0...ticks[ticks.count - 1], range: (start, end)), ticks)
  }
}
