import Duplicates
import Formats

/// What a first reading keeps of a scored row.
package struct RankedRow: Sendable, Equatable {
  /// What rows are ranked by, the highest first: the score, or the score with noise.
  package var key: Double
  package var score: Double
  package var hash: ContentHash
  /// A hash of the whole line: tells rows of the same text apart wherever they stand.
  package var line: UInt64
  /// Its place in the input, from 0.
  package var row: Int
  /// A number for its source.
  package var source: Int
  /// Nil where it is not known.
  package var tokens: Int?
  /// Of its text.
  package var bytes: Int
  package var id: ByteString
  /// Nil where near duplicates are not looked for.
  package var signature: MinHashSignature?

  package init(
    key: Double, score: Double, hash: ContentHash, line: UInt64, row: Int, source: Int, tokens: Int?,
    bytes: Int,
    id: ByteString, signature: MinHashSignature?
  ) {
    (self.key, self.score, self.hash, self.line) = (key, score, hash, line)
    (self.row, self.source, self.tokens, self.bytes) = (row, source, tokens, bytes)
    (self.id, self.signature) = (id, signature)
  }

  package func size(in unit: Budget.Unit) -> Int {
    switch unit {
    case .tokens: tokens ?? 0
    case .rows: 1
    case .bytes: bytes
    }
  }

  /// The order that everything follows: by key; rows of one key by their texts' hashes, those of one text by their lines', so that it
  /// depends on what is in the files and not on how it is divided among them. Only identical lines go by their place.
  package static func precedes(_ left: RankedRow, _ right: RankedRow) -> Bool {
    left.order < right.order
  }

  /// Ascending where rows descend.
  var order: Order {
    Order(key: Self.descending(key), high: hash.high, low: hash.low, line: line, row: UInt64(row))
  }

  struct Order: Comparable {
    var key, high, low, line, row: UInt64

    static func < (left: Order, right: Order) -> Bool {
      if left.key != right.key { return left.key < right.key }
      return (left.high, left.low, left.line, left.row) < (right.high, right.low, right.line, right.row)
    }
  }

  /// Bits that ascend where a finite number descends.
  static func descending(_ value: Double) -> UInt64 {
    // Both zeros are one.
    let bits = (value + 0).bitPattern
    return bits >> 63 == 1 ? bits : ~(bits | 1 << 63)
  }
}

// MARK: - As bytes

extension RankedRow {
  /// Bytes before the id and the signature.
  static let fixedBytes = 72

  func append(to bytes: inout [UInt8]) {
    for value in [
      Self.descending(key), hash.high, hash.low, line, UInt64(row), score.bitPattern, key.bitPattern,
    ] {
      bytes.append(integer: value)
    }
    bytes.append(integer: UInt32(source))
    bytes.append(integer: tokens.map { min(UInt32(clamping: $0), .max - 1) } ?? .max)
    bytes.append(integer: UInt32(clamping: self.bytes))
    bytes.append(integer: UInt32(id.count) << 1 | (signature == nil ? 0 : 1))
    bytes += id.bytes
    if let signature { bytes += signature.bytes }
  }

  /// The order of the row whose bytes begin at a place.
  static func order(in bytes: [UInt8], at place: Int) -> Order {
    func word(_ index: Int) -> UInt64 { bytes.integer(UInt64.self, at: place + 8 * index) }
    return Order(key: word(0), high: word(1), low: word(2), line: word(3), row: word(4))
  }

  /// How many bytes the row at a place has; its fixed ones must be there.
  static func count(in bytes: [UInt8], at place: Int) -> Int {
    let lengths = bytes.integer(UInt32.self, at: place + fixedBytes - 4)
    return fixedBytes + Int(lengths >> 1) + (lengths & 1 == 1 ? MinHashSignature.count : 0)
  }

  init(bytes: [UInt8], at place: Int) {
    func word(_ index: Int) -> UInt64 { bytes.integer(UInt64.self, at: place + 8 * index) }
    func half(_ offset: Int) -> UInt32 { bytes.integer(UInt32.self, at: place + offset) }
    let idEnd = place + Self.fixedBytes + Int(half(68) >> 1)
    hash = ContentHash(high: word(1), low: word(2))
    (line, row) = (word(3), Int(word(4)))
    (score, key) = (Double(bitPattern: word(5)), Double(bitPattern: word(6)))
    source = Int(half(56))
    tokens = half(60) == .max ? nil : Int(half(60))
    self.bytes = Int(half(64))
    id = ByteString(bytes[place + Self.fixedBytes..<idEnd])
    signature =
      half(68) & 1 == 1
      ? MinHashSignature(stored: Array(bytes[idEnd..<idEnd + MinHashSignature.count])) : nil
  }
}
