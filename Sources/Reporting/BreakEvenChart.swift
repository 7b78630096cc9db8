import Foundation

/// The whole time for a number of rows, by powers of ten on both axes: the reference from the first row on, and
/// a prepared method that starts later and rises slower. They cross at `n*`.
struct BreakEvenChart {
  var id: String
  var title: String
  var reference: String
  var method: String
  var role: ComparedMethod.Role
  var known: BreakEven
  /// `n*`.
  var rows: Double

  private let left = 46.0
  private let top = 22.0
  private let bottom = 236.0
  private let right = Chart.width - 12

  func markup() -> Markup {
    let (x, xTicks) = Scale.powersOfTen(around: [rows / 50, rows * 50], start: left, end: right)
    let ends = [x.domain.lowerBound, x.domain.upperBound]
    let (y, yTicks) = Scale.powersOfTen(
      around: ends.map(referenceTime) + ends.map(methodTime), start: bottom, end: top)
    let crossing = (x: x(rows), y: y(referenceTime(rows)))
    let content: Markup = """
      \(Chart.lines(y, ticks: yTicks, left: left, right: right) { NumberText.durationTick($0) })
      \(Chart.columns(x, ticks: xTicks, top: top, bottom: bottom) { NumberText.power($0) })
      <text class="tick" x="0" y="11">time, all told</text>
      <text class="tick mid" x="\((left + right) / 2)" y="\(bottom + 31)">rows valued</text>
      <line class="chance" x1="\(crossing.x)" y1="\(crossing.y)" x2="\(crossing.x)" y2="\(bottom)"/>
      \(curve(.reference, x, y, time: referenceTime))
      \(curve(role, x, y, time: methodTime))
      <text class="label halo end reference" x="\(crossing.x - 12)" y="\(y(referenceTime(rows)) - 26)">\
      \(reference)</text>
      <text class="label halo \(role.rawValue)" x="\(crossing.x + 14)" y="\(crossing.y + 16)">\(method)</text>
      <text class="label halo" x="\(crossing.x + 6)" y="\(bottom - 8)">\
      \(NumberText.significant(rows, digits: 2)) rows</text>
      """
    return Chart.svg(id: id, height: bottom + 38, title: title, description: description(), content)
  }

  private func referenceTime(_ rows: Double) -> Double { known.referenceSecondsPerRow * rows }

  private func methodTime(_ rows: Double) -> Double { known.preparationSeconds + known.secondsPerRow * rows }

  private func curve(
    _ role: ComparedMethod.Role, _ x: Scale, _ y: Scale, time: (Double) -> Double
  ) -> Markup {
    let low = log10(x.domain.lowerBound)
    let high = log10(x.domain.upperBound)
    let points = (0...48).map { step -> Markup in
      let rows = pow(10, low + (high - low) * Double(step) / 48)
      return "\(x(rows)),\(y(time(rows)))"
    }
    return """
      <polyline class="curve \(role.rawValue)" points="\(Markup(joining: points, separator: " "))"/>
      """
  }

  private func description() -> String {
    "\(method) takes \(NumberText.duration(known.preparationSeconds)) before its first row and"
      + " \(NumberText.duration(known.secondsPerRow * 1000)) for each 1000; \(reference) takes"
      + " \(NumberText.duration(known.referenceSecondsPerRow * 1000)) for each 1000. They cross at"
      + " \(NumberText.significant(rows, digits: 2)) rows."
  }
}
