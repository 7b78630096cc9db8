import Foundation

/// How numbers are written in a report: rounded to what can be read, with a real minus sign, and an en dash
/// where nothing was measured.
package enum NumberText {
  package static let none = "–"

  /// Two digits after the point, as a correlation or a share of one.
  package static func correlation(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    let text = String(format: "%.2f", abs(value))
    return value < 0 && text != "0.00" ? "−" + text : text
  }

  /// "0.78 to 0.84".
  package static func interval(lower: Double, upper: Double) -> String {
    "\(correlation(lower)) to \(correlation(upper))"
  }

  /// A number on an axis, with the digits it needs.
  package static func tick(_ value: Double) -> String {
    let size = abs(value)
    if size < 1e-9 { return "0" }
    let decimals = (0...4).first { place in
      let scaled = size * pow(10, Double(place))
      return abs(scaled - scaled.rounded()) < 1e-6 * max(1, scaled)
    }
    return (value < 0 ? "−" : "") + grouped(String(format: "%.*f", decimals ?? 4, size))
  }

  /// A power of ten on an axis: in full up to 10,000, then as a power.
  package static func power(_ value: Double) -> String {
    (0.001...10_000).contains(value) ? tick(value) : "10" + superscript(Int(log10(value).rounded()))
  }

  /// `digits` significant digits, without an exponent between 0.001 and 100,000, in thousands from 10,000.
  package static func significant(_ value: Double?, digits: Int = 3) -> String {
    guard let value, value.isFinite else { return none }
    let size = abs(value)
    let sign = value < 0 ? "−" : ""
    if size == 0 { return "0" }
    if size < 1e-3 || size >= 1e9 {
      // printf rounds, so its exponent is the right one where 9.996 becomes 10.0.
      let parts = String(format: "%.*e", digits - 1, size).split(separator: "e")
      return sign + parts[0] + " × 10" + superscript(Int(parts[1])!)
    }
    let exponent = Int(log10(size).rounded(.down))
    let decimals = digits - 1 - exponent
    if decimals >= 0 { return sign + grouped(String(format: "%.*f", decimals, size)) }
    let unit = pow(10, Double(-decimals))
    return sign + grouped(String(format: "%.0f", (size / unit).rounded() * unit))
  }

  /// Three significant digits, and of larger numbers every digit before the point: what is divided by should not be rounded to tens.
  package static func value(_ value: Double?) -> String {
    guard let value, (1000..<1e15).contains(value.magnitude) else { return significant(value) }
    return fixed(value, decimals: 0)
  }

  /// So many digits behind the point, whatever the size.
  package static func fixed(_ value: Double, decimals: Int) -> String {
    let text = String(format: "%.*f", decimals, abs(value))
    return (value < 0 && text.contains { ("1"..."9").contains($0) } ? "−" : "") + grouped(text)
  }

  /// All digits of a number, as it is typed: `0.00005`.
  package static func exact(_ value: Double) -> String {
    let decimals = (0...20).first { Double(String(format: "%.*f", $0, value)) == value }
    return decimals.map { fixed(value, decimals: $0) } ?? "\(value)"
  }

  /// A whole number with thin groups of three from 10,000 on.
  package static func count(_ value: Int) -> String {
    (value < 0 ? "−" : "") + grouped(String(value.magnitude))
  }

  /// A share in whole percent.
  package static func percent(_ share: Double) -> String { "\(Int((100 * share).rounded())) %" }

  /// A share in percent with a digit behind the point.
  package static func finePercent(_ share: Double?) -> String {
    guard let share, share.isFinite else { return none }
    let text = String(format: "%.1f", abs(100 * share))
    return (share < 0 && text != "0.0" ? "−" : "") + text + " %"
  }

  /// A time with the unit that suits it.
  package static func duration(_ seconds: Double?) -> String {
    guard let seconds, seconds.isFinite else { return none }
    switch seconds {
    case ..<0.0005: return "under 1 ms"
    case ..<0.9995: return significant(seconds * 1000, digits: 2) + " ms"
    case ..<100: return significant(seconds, digits: 2) + " s"
    case ..<6000: return significant(seconds / 60, digits: 2) + " min"
    default: return significant(seconds / 3600, digits: 2) + " h"
    }
  }

  /// A time on an axis: without the zero behind the point.
  package static func durationTick(_ seconds: Double) -> String {
    duration(seconds).replacing(".0 ", with: " ")
  }

  /// Bytes in decimal units.
  package static func bytes(_ count: Int?) -> String {
    guard let count else { return none }
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return (unit == 0 ? String(count) : significant(value)) + " " + units[unit]
  }

  /// The exponent of a power of ten, raised.
  package static func superscript(_ exponent: Int) -> String {
    let digits = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]
    let raised = String(exponent.magnitude).map { digits[$0.wholeNumberValue!] }.joined()
    return exponent < 0 ? "⁻" + raised : raised
  }

  /// Thin spaces between groups of three before the point, from five digits on.
  private static func grouped(_ number: String) -> String {
    let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let whole = Array(parts[0])
    guard whole.count > 4 else { return number }
    var text = ""
    for (place, digit) in whole.enumerated() {
      if place > 0, (whole.count - place) % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return parts.count > 1 ? text + "." + parts[1] : text
  }
}
