/// A piece of HTML or SVG. A literal is markup as written; whatever is interpolated as a `String` is escaped,
/// so text from outside can only ever be text.
///
/// The pages are also well-formed XML: every element is closed and only the five entities of XML are used.
package struct Markup: ExpressibleByStringInterpolation, Sendable {
  package var source: String

  package init(stringLiteral value: String) { source = value }
  package init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }
  package init(joining pieces: [Markup], separator: String = "\n") {
    source = pieces.map(\.source).joined(separator: separator)
  }

  /// Collects literal markup and escaped values.
  package struct StringInterpolation: StringInterpolationProtocol {
    var source = ""

    package init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity) }

    package mutating func appendLiteral(_ literal: String) { source += literal }
    package mutating func appendInterpolation(_ text: String) { source += Markup.escaped(text) }
    package mutating func appendInterpolation(_ number: Int) { source += String(number) }
    package mutating func appendInterpolation(_ markup: Markup) { source += markup.source }
    package mutating func appendInterpolation(_ pieces: [Markup]) { source += Markup(joining: pieces).source }
    /// A coordinate, to a tenth of a unit.
    package mutating func appendInterpolation(_ coordinate: Double) {
      let tenths = (coordinate * 10).rounded()
      precondition(tenths.isFinite, "Markup: a coordinate that is not finite")
      let whole = Int(tenths)
      source += whole % 10 == 0 ? String(whole / 10) : String(tenths / 10)
    }
  }

  /// `text` with the characters that mean something to HTML as entities, and those that no XML document may
  /// hold, or that would turn the direction of the text after them, as the replacement character.
  package static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x26: escaped += "&amp;"
      case 0x3C: escaped += "&lt;"
      case 0x3E: escaped += "&gt;"
      case 0x22: escaped += "&quot;"
      case 0x27: escaped += "&#39;"
      case 0x09, 0x0A, 0x0D: escaped += " "
      case 0..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069, 0xFFFE, 0xFFFF: escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

extension Array where Element == Markup {
  /// The pieces one after the other.
  package func joined() -> Markup { Markup(joining: self) }
}
