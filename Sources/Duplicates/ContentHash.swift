import Formats

/// The first 128 bits of the SHA-256 of a text: what exact duplicates have in common. Among 10^9 texts two that differ share one with
/// probability 10^-21.
package struct ContentHash: Hashable, Comparable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  /// - Parameter text: as a valuator reads it (`Record.text`).
  package init(_ text: [UInt8]) { (high, low) = FileHash.sha256Prefix(text) }

  package static func < (left: ContentHash, right: ContentHash) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}
