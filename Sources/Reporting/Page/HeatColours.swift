import Foundation

/// The colours of correlations: blue for agreement, orange for the opposite, paper for none, in steps of a
/// tenth, each with black or white letters, whichever reads better (at least 4.5 to 1 on any colour).
enum HeatColours {
  /// A colour in sRGB, each part in 0...1.
  struct RGB: Equatable {
    var red: Double
    var green: Double
    var blue: Double

    init(_ hex: UInt32) {
      red = Double(hex >> 16 & 0xFF) / 255
      green = Double(hex >> 8 & 0xFF) / 255
      blue = Double(hex & 0xFF) / 255
    }

    func mixed(with other: RGB, share: Double) -> RGB {
      var mixed = self
      mixed.red += (other.red - red) * share
      mixed.green += (other.green - green) * share
      mixed.blue += (other.blue - blue) * share
      return mixed
    }

    var hex: String {
      "#" + [red, green, blue].map { String(format: "%02x", Int(($0 * 255).rounded())) }.joined()
    }

    /// Relative luminance and contrast as WCAG 2 defines them.
    var luminance: Double {
      func linear(_ part: Double) -> Double {
        part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
      }
      return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    func contrast(with other: RGB) -> Double {
      let high = max(luminance, other.luminance)
      let low = min(luminance, other.luminance)
      return (high + 0.05) / (low + 0.05)
    }
  }

  /// The ends of the scale in one theme.
  struct Theme {
    var paper: RGB
    var positive: RGB
    var negative: RGB
  }

  static let light = Theme(paper: RGB(0xF6F5F2), positive: RGB(0x0F4C81), negative: RGB(0xA63D00))
  static let dark = Theme(paper: RGB(0x20242B), positive: RGB(0x74B6F2), negative: RGB(0xF59A5B))

  /// The class of a cell: `p0` to `p10`, `n1` to `n10`, or `none`.
  static func className(_ value: Double?) -> String {
    guard let value, value.isFinite else { return "none" }
    let step = Int((min(1, max(-1, value)) * 10).rounded())
    return step < 0 ? "n\(-step)" : "p\(step)"
  }

  /// The background of a step from -10 to 10 and the colour of the letters on it.
  static func colours(step: Int, _ theme: Theme) -> (background: RGB, letters: RGB) {
    let end = step < 0 ? theme.negative : theme.positive
    let background = theme.paper.mixed(with: end, share: Double(abs(step)) / 10)
    let black = RGB(0)
    let white = RGB(0xFFFFFF)
    return (background, background.contrast(with: white) >= background.contrast(with: black) ? white : black)
  }

  /// The style rules of all steps.
  static func css(_ theme: Theme) -> String {
    (-10...10).map { step in
      let (background, letters) = colours(step: step, theme)
      let name = step < 0 ? "n\(-step)" : "p\(step)"
      return ".\(name){--cell:\(background.hex);--on:\(letters.hex)}"
    }.joined(separator: "\n")
  }
}
