import Foundation

extension Double {
  /// Two digits.
  var inShort: String { String(format: "%.2g", self) }
}
