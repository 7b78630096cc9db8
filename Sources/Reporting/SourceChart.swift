/// Spearman within each source: a bar for one method, a tick for another.
struct SourceChart {
  /// One source.
  struct Row {
    var name: String
    var count: Int
    var value: Double?
    var other: Double?
  }

  var id: String
  var title: String
  var role: ComparedMethod.Role
  var name: String
  var other: String?
  var rows: [Row]

  private let rowHeight = 24.0
  private let top = 24.0

  func markup() -> Markup {
    let labels = Chart.labelWidth(rows.map(\.name))
    let bottom = top + Double(rows.count) * rowHeight
    let values = rows.compactMap(\.value) + rows.compactMap(\.other)
    let (scale, ticks) = Scale.correlations(values, start: labels + 6, end: Chart.width - 100)
    let content: Markup = """
      \(Chart.columns(scale, ticks: ticks, top: top - 4, bottom: bottom) { NumberText.tick($0) })
      <text class="tick end" x="\(Chart.width - 42)" y="12">Spearman</text>
      <text class="tick end" x="\(Chart.width - 2)" y="12">rows</text>
      \(rows.enumerated().map { row(at: $0.offset, $0.element, scale, labels: labels) })
      """
    return Chart.svg(id: id, height: bottom + 20, title: title, description: description(), content)
  }

  private func row(at place: Int, _ row: Row, _ scale: Scale, labels: Double) -> Markup {
    let y = top + (Double(place) + 0.5) * rowHeight
    let zero = scale(0)
    let end = scale(row.value ?? 0)
    let tick: Markup =
      row.other.map { other in
        let x = scale(other)
        return """
          <line class="rival under" x1="\(x)" y1="\(y - 9)" x2="\(x)" y2="\(y + 9)"/>\
          <line class="rival" x1="\(x)" y1="\(y - 9)" x2="\(x)" y2="\(y + 9)"/>
          """
      } ?? ""
    return """
      <text class="label" x="0" y="\(y + 4)">\(Chart.fitted(row.name, width: labels))</text>
      <rect class="bar \(role.rawValue)" x="\(min(zero, end))" y="\(y - 6)" \
      width="\(abs(end - zero))" height="12"/>\
      \(tick)
      <text class="number end" x="\(Chart.width - 42)" y="\(y + 4)">\(NumberText.correlation(row.value))</text>
      <text class="number end quiet" x="\(Chart.width - 2)" y="\(y + 4)">\(NumberText.count(row.count))</text>
      """
  }

  private func description() -> String {
    rows.map { row in
      let rival = other.map { ", \($0) \(NumberText.correlation(row.other))" } ?? ""
      return "\(row.name), \(row.count) rows: \(name) \(NumberText.correlation(row.value))\(rival)"
    }.joined(separator: "; ")
  }
}
