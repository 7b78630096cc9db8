/// How the reference's values spread within each source: a thin line from the 5 to the 95 % quantile, a thick one
/// between the quartiles, a mark at the median.
package struct WorthChart {
  var id: String
  var title: String
  var worth: [SourceWorth]

  package init(id: String, title: String, worth: [SourceWorth]) {
    (self.id, self.title, self.worth) = (id, title, worth)
  }

  private let rowHeight = 24.0
  private let top = 24.0

  package func markup() -> Markup {
    let labels = Chart.labelWidth(worth.map(\.name))
    let bottom = top + Double(worth.count) * rowHeight
    let (scale, ticks) = Scale.around(
      worth.flatMap(\.quantiles) + [0], start: labels + 6, end: Chart.width - 64)
    let content: Markup = """
      \(Chart.columns(scale, ticks: ticks, top: top - 4, bottom: bottom) { NumberText.tick($0) })
      <text class="tick end" x="\(Chart.width - 2)" y="12">median</text>
      \(worth.enumerated().map { row(at: $0.offset, $0.element, scale, labels: labels) })
      """
    return Chart.svg(id: id, height: bottom + 20, title: title, description: description(), content)
  }

  private func row(at place: Int, _ worth: SourceWorth, _ scale: Scale, labels: Double) -> Markup {
    let y = top + (Double(place) + 0.5) * rowHeight
    let places = worth.quantiles.map { scale($0) }
    return """
      <text class="label" x="0" y="\(y + 4)">\(Chart.fitted(worth.name, width: labels))</text>
      <line class="whisker reference" x1="\(places[0])" y1="\(y)" x2="\(places[4])" y2="\(y)"/>\
      <line class="box reference" x1="\(places[1])" y1="\(y)" x2="\(places[3])" y2="\(y)"/>\
      <circle class="mark reference hollow" cx="\(places[2])" cy="\(y)" r="3.6"/>
      <text class="number end" x="\(Chart.width - 2)" y="\(y + 4)">\
      \(NumberText.significant(worth.quantiles[2]))</text>
      """
  }

  private func description() -> String {
    worth.map {
      "\($0.name), \($0.count) rows: median \(NumberText.significant($0.quantiles[2])), quartiles"
        + " \(NumberText.significant($0.quantiles[1])) and \(NumberText.significant($0.quantiles[3]))"
    }.joined(separator: "; ")
  }
}
