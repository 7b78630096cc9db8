import Foundation

extension Double {
  /// Two digits.
  var inShort: String { String(format: "%.2g", self) }
}

extension [String] {
  /// The first few names, and how many more there are.
  package var inShort: String {
    prefix(5).joined(separator: ", ") + (count > 5 ? " and \(count - 5) more" : "")
  }
}
