import Foundation

/// One block of a PEM file (RFC 7468): a label and bytes in base64.
struct PEM: Equatable {
  var label: String
  var bytes: [UInt8]

  private static let lineLength = 64

  init(label: String, bytes: [UInt8]) {
    self.label = label
    self.bytes = bytes
  }

  /// The first block of a text; nil where there is none.
  init?(_ text: String) {
    let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
    guard let begin = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") && $0.hasSuffix("-----") }) else {
      return nil
    }
    let label = String(lines[begin].dropFirst(11).dropLast(5))
    guard let end = lines[begin...].firstIndex(of: "-----END \(label)-----"),
      let data = Data(base64Encoded: lines[begin + 1..<end].joined())
    else { return nil }
    self.init(label: label, bytes: Array(data))
  }

  var text: String {
    let digits = Array(Data(bytes).base64EncodedString())
    let lines = stride(from: 0, to: digits.count, by: Self.lineLength).map {
      String(digits[$0..<min(digits.count, $0 + Self.lineLength)])
    }
    return (["-----BEGIN \(label)-----"] + lines + ["-----END \(label)-----", ""]).joined(separator: "\n")
  }
}
