import Foundation

/// What was measured against what was predicted, a point a row or group of rows, and the line where both are equal.
struct PredictionChart {
  var id: String
  var title: String
  /// What the axes are.
  var across: String
  var up: String
  var predicted: [Double]
  var actual: [Double]
  /// What the description for screen readers begins with.
  var summary: String

  private let left = 40.0
  private let top = 22.0
  private let bottom = 236.0
  private let right = Chart.width - 14

  func markup() -> Markup {
    let exponent = self.exponent()
    let unit = pow(10, Double(exponent))
    let (x, xTicks) = Scale.around(predicted.map { $0 / unit } + [0], start: left + 8, end: right)
    let (y, yTicks) = Scale.around(actual.map { $0 / unit } + [0], start: bottom, end: top)
    let power = exponent == 0 ? "" : ", × 10" + NumberText.superscript(exponent)
    let content: Markup = """
      \(Chart.lines(y, ticks: yTicks, left: left, right: right) { NumberText.tick($0) })
      \(Chart.columns(x, ticks: xTicks, top: top, bottom: bottom) { NumberText.tick($0) })
      \(identity(x, y))
      <text class="tick" x="0" y="11">\(up)\(power)</text>
      <text class="tick end" x="\(right)" y="\(bottom + 31)">\(across)\(power)</text>
      \(zip(predicted, actual).map { Chart.mark(.influence, x: x($0 / unit), y: y($1 / unit), isHollow: true) })
      """
    return Chart.svg(id: id, height: bottom + 38, title: title, description: description(), content)
  }

  /// The power of ten that leaves readable ticks.
  private func exponent() -> Int {
    let largest = (predicted + actual).map(abs).max() ?? 0
    guard largest > 0 else { return 0 }
    let exponent = Int(log10(largest).rounded(.down))
    return (-1...2).contains(exponent) ? 0 : exponent
  }

  /// The line where prediction and measurement are equal, as far as both axes reach.
  private func identity(_ x: Scale, _ y: Scale) -> Markup {
    let low = max(x.domain.lowerBound, y.domain.lowerBound)
    let high = min(x.domain.upperBound, y.domain.upperBound)
    guard low < high else { return "" }
    return """
      <line class="chance" x1="\(x(low))" y1="\(y(low))" x2="\(x(high))" y2="\(y(high))"/>
      """
  }

  private func description() -> String {
    summary
      + " Predicted from \(NumberText.significant(predicted.min())) to \(NumberText.significant(predicted.max())),"
      + " measured from \(NumberText.significant(actual.min())) to \(NumberText.significant(actual.max()))."
  }
}
