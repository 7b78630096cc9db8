import Foundation

/// A chart's coordinates: values of `domain` to places of `range`, linear or by their logarithm.
package struct Scale {
  package var domain: ClosedRange<Double>
  package var range: (start: Double, end: Double)
  package var isLogarithmic = false

  package init(domain: ClosedRange<Double>, range: (start: Double, end: Double), isLogarithmic: Bool = false)
  {
    (self.domain, self.range, self.isLogarithmic) = (domain, range, isLogarithmic)
  }

  package func callAsFunction(_ value: Double) -> Double {
    func position(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
    let low = position(domain.lowerBound)
    let high = position(domain.upperBound)
    let share = (position(value) - low) / (high - low)
    return range.start + min(1, max(0, share)) * (range.end - range.start)
  }

  /// A linear scale from round number to round number around `values`, about `count` ticks apart.
  package static func around(
    _ values: [Double], start: Double, end: Double, count: Int = 5
  ) -> (scale: Scale, ticks: [Double]) {
    let low = values.min() ?? 0
    let high = values.max() ?? 1
    let width = high > low ? high - low : max(abs(high), 1)
    let step = roundStep(width / Double(max(1, count - 1)))
    let first = (low / step - 1e-9).rounded(.down)
    let last = max(first + 1, (high / step + 1e-9).rounded(.up))
    let ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
    return (Scale(domain: ticks[0]...ticks[ticks.count - 1], range: (start, end)), ticks)
  }

  /// A scale for correlations and shares: up to one, and down as far below zero as `values` go.
  package static func correlations(
    _ values: [Double], start: Double, end: Double
  ) -> (scale: Scale, ticks: [Double]) {
    let lowest = values.min() ?? 0
    let low = lowest >= 0 ? 0 : max(-1, ((lowest - 0.04) * 10).rounded(.down) / 10)
    let ticks = low > -0.2 ? [0, 0.25, 0.5, 0.75, 1] : [-1, -0.5, 0, 0.5, 1].filter { $0 >= low }
    return (Scale(domain: low...1, range: (start, end)), ticks)
  }

  /// A logarithmic scale over whole powers of ten around positive `values`.
  package static func powersOfTen(
    around values: [Double], start: Double, end: Double
  ) -> (scale: Scale, ticks: [Double]) {
    let first = Int(log10(values.min() ?? 1).rounded(.down))
    let last = max(first + 1, Int(log10(values.max() ?? 10).rounded(.up)))
    let stride = max(1, (last - first + 5) / 6)
    let ticks = Swift.stride(from: first, through: last, by: stride).map { pow(10, Double($0)) }
    let domain = pow(10, Double(first))...pow(10, Double(last))
    return (Scale(domain: domain, range: (start, end), isLogarithmic: true), ticks)
  }

  /// 1, 2 or 5 times a power of ten, at least `width`.
  private static func roundStep(_ width: Double) -> Double {
    let power = pow(10, log10(width).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= width * 0.999 } ?? 10) * power
  }
}

/// The outer element of every chart. Its width is fixed so that letters have one size on a phone; the page
/// places charts side by side where there is room.
package enum Chart {
  package static let width = 360.0

  package static func svg(
    id: String, height: Double, title: String, description: String, _ content: Markup
  ) -> Markup {
    """
    <svg viewBox="0 0 \(width) \(height)" role="img" aria-labelledby="\(id)-title \(id)-desc">
    <title id="\(id)-title">\(title)</title>
    <desc id="\(id)-desc">\(description)</desc>
    \(content)
    </svg>
    """
  }

  /// Vertical grid lines with their numbers below.
  package static func columns(
    _ scale: Scale, ticks: [Double], top: Double, bottom: Double, label: (Double) -> String
  ) -> Markup {
    ticks.map { tick -> Markup in
      let x = scale(tick)
      let kind = tick == 0 ? "zero" : "grid"
      return """
        <line class="\(kind)" x1="\(x)" y1="\(top)" x2="\(x)" y2="\(bottom)"/>\
        <text class="tick mid" x="\(x)" y="\(bottom + 14)">\(label(tick))</text>
        """
    }.joined()
  }

  /// Horizontal grid lines with their numbers to the left.
  package static func lines(
    _ scale: Scale, ticks: [Double], left: Double, right: Double, label: (Double) -> String
  ) -> Markup {
    ticks.map { tick -> Markup in
      let y = scale(tick)
      let kind = tick == 0 ? "zero" : "grid"
      return """
        <line class="\(kind)" x1="\(left)" y1="\(y)" x2="\(right)" y2="\(y)"/>\
        <text class="tick end" x="\(left - 5)" y="\(y + 3.5)">\(label(tick))</text>
        """
    }.joined()
  }

  /// A mark whose shape says the role, so that colour alone carries nothing: diamond for the valuator, circle
  /// for gradient methods, square for baselines, triangle for the reference.
  package static func mark(_ role: ComparedMethod.Role, x: Double, y: Double, isHollow: Bool = false)
    -> Markup
  {
    let kind = "mark \(role.rawValue)\(isHollow ? " hollow" : "")"
    switch role {
    case .valuator:
      return """
        <path class="\(kind)" d="M\(x) \(y - 5.2)L\(x + 5.2) \(y)L\(x) \(y + 5.2)L\(x - 5.2) \(y)Z"/>
        """
    case .reference:
      return "<path class=\"\(kind)\" d=\"M\(x) \(y - 5)L\(x + 5) \(y + 4)L\(x - 5) \(y + 4)Z\"/>"
    case .influence:
      return "<circle class=\"\(kind)\" cx=\"\(x)\" cy=\"\(y)\" r=\"4\"/>"
    case .baseline:
      return "<rect class=\"\(kind)\" x=\"\(x - 3.6)\" y=\"\(y - 3.6)\" width=\"7.2\" height=\"7.2\"/>"
    }
  }

  /// About how wide a text of the charts' size is.
  package static func textWidth(_ text: String) -> Double { Double(text.count) * 6.1 }

  /// `text`, cut with an ellipsis where it would be wider than `width`.
  package static func fitted(_ text: String, width: Double) -> String {
    let room = max(2, Int(width / 6.1))
    return text.count <= room ? text : text.prefix(room - 1) + "…"
  }

  /// The width of the column of labels: the longest, within bounds.
  package static func labelWidth(_ labels: [String], limit: Double = 118) -> Double {
    min(limit, max(48, (labels.map(textWidth).max() ?? 0) + 10))
  }
}
