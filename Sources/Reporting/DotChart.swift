import RankStatistics

/// Methods down the side, one or two measures across: a filled and a hollow mark with their intervals, and the
/// numbers at the right.
struct DotChart {
  /// One method's marks; `second` is nil everywhere where there is one measure.
  struct Row {
    var name: String
    var role: ComparedMethod.Role
    var first: Estimate
    var second: Estimate?
  }

  var id: String
  var title: String
  /// The heads of the number columns.
  var heads: [String]
  var rows: [Row]

  private let columnWidth = 52.0
  private let rowHeight = 27.0
  private let top = 24.0

  func markup() -> Markup {
    let hasSecond = heads.count > 1
    let labels = Chart.labelWidth(rows.map(\.name))
    let numbers = hasSecond ? 2 * columnWidth : columnWidth
    let bottom = top + Double(rows.count) * rowHeight
    let (scale, ticks) = Scale.correlations(values(), start: labels + 6, end: Chart.width - numbers - 8)
    let content: Markup = """
      \(Chart.columns(scale, ticks: ticks, top: top - 4, bottom: bottom) { NumberText.tick($0) })
      \(headings())
      \(rows.enumerated().map { row(at: $0.offset, $0.element, scale, labels: labels) })
      """
    return Chart.svg(id: id, height: bottom + 20, title: title, description: description(), content)
  }

  private func values() -> [Double] {
    let estimates = rows.map(\.first) + rows.compactMap(\.second)
    let ends = estimates.flatMap { [$0.value, $0.interval?.lower, $0.interval?.upper] }.compactMap { $0 }
    return ends
  }

  private func headings() -> Markup {
    heads.enumerated().map { place, head -> Markup in
      let sign = heads.count == 1 ? "" : place == 0 ? "● " : "○ "
      return "<text class=\"tick end\" x=\"\(numberX(place))\" y=\"12\">\(sign)\(head)</text>"
    }.joined()
  }

  private func numberX(_ place: Int) -> Double {
    Chart.width - Double(heads.count - 1 - place) * columnWidth - 2
  }

  private func row(at place: Int, _ row: Row, _ scale: Scale, labels: Double) -> Markup {
    let y = top + (Double(place) + 0.5) * rowHeight
    let offset = row.second == nil ? 0.0 : 5.0
    let second = row.second.map { marks($0, row.role, scale, y: y + offset, isHollow: true) } ?? ""
    let secondNumber = row.second.map { number($0, at: 1, y: y, row.role) } ?? ""
    return """
      <text class="label \(row.role.rawValue)" x="0" y="\(y + 4)">\(Chart.fitted(row.name, width: labels))</text>
      \(marks(row.first, row.role, scale, y: y - offset, isHollow: false))\(second)\
      \(number(row.first, at: 0, y: y, row.role))\(secondNumber)
      """
  }

  private func marks(
    _ estimate: Estimate, _ role: ComparedMethod.Role, _ scale: Scale, y: Double, isHollow: Bool
  ) -> Markup {
    guard let value = estimate.value else { return "" }
    let whisker: Markup =
      if let interval = estimate.interval {
        """
        <line class="whisker \(role.rawValue)" x1="\(scale(interval.lower))" y1="\(y)" \
        x2="\(scale(interval.upper))" y2="\(y)"/>
        """
      } else {
        ""
      }
    return "\(whisker)\(Chart.mark(role, x: scale(value), y: y, isHollow: isHollow))"
  }

  private func number(_ estimate: Estimate, at place: Int, y: Double, _ role: ComparedMethod.Role) -> Markup {
    """
    <text class="number end \(role.rawValue)" x="\(numberX(place))" y="\(y + 4)">\
    \(NumberText.correlation(estimate.value))</text>
    """
  }

  private func description() -> String {
    rows.map { row in
      let second = row.second.map { ", \(heads[1]) \(NumberText.correlation($0.value))" } ?? ""
      return "\(row.name): \(heads[0]) \(NumberText.correlation(row.first.value))\(second)"
    }.joined(separator: "; ")
  }
}
