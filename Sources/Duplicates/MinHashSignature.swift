/// A sketch of a text by which the likeness of two texts is told without either: MinHash (Broder 1997) of byte shingles.
///
/// The likeness is Jaccard's, `|A ∩ B| / |A ∪ B|` of the sets of the texts' shingles. A shingle is 9 bytes of the text in lower case
/// with every run of white space and ASCII punctuation as one space, so it needs no words and reads every language; a changed word
/// costs some 15 of them. One hash a shingle puts it into one of 120 bins, and of each bin the least is kept (one-permutation hashing,
/// Li, Owen & Zhang 2012); an empty bin takes another's (Shrivastava 2017). Eight bits of each are stored (b-bit minwise hashing, Li &
/// König 2010): 120 bytes a text, whose estimate has a standard error of about `sqrt(J (1 - J) / 120)`, 0.04 at J = 0.8.
///
/// That holds where a text has more shingles than there are bins. With fewer, bins repeat each other's values and the error grows; with
/// fewer than `leastShingles` (some 72 bytes of text) there is no signature, and a text is compared exactly alone.
package struct MinHashSignature: Hashable, Sendable {
  /// Values, a byte each.
  package static let count = 120
  private static let shingleBytes = 9
  /// Distinct shingles that a text must have: of one alone all values would be one byte, which one text in 256 shares.
  package static let leastShingles = 64

  package let bytes: [UInt8]

  /// A signature that was stored.
  package init(stored bytes: [UInt8]) {
    precondition(bytes.count == Self.count, "MinHashSignature: \(bytes.count) bytes")
    self.bytes = bytes
  }

  /// Nil where the text has fewer than `leastShingles` different shingles.
  package init?(of text: [UInt8]) {
    var least = [UInt64](repeating: .max, count: Self.count)
    let text = Self.normalized(text)
    Self.forEachShingle(of: text) { hash in
      let bin = Int(truncatingIfNeeded: ((hash >> 32) * UInt64(Self.count)) >> 32)
      least[bin] = min(least[bin], hash)
    }
    guard Self.hasEnough(text, bins: least.count { $0 != .max }) else { return nil }
    bytes = least.indices.map { UInt8(truncatingIfNeeded: least[Self.filled(bin: $0, least)]) }
  }

  /// The estimate of Jaccard's likeness, in 0...1.
  package func similarity(to other: MinHashSignature) -> Double {
    Self.similarity(equal: zip(bytes, other.bytes).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) })
  }

  /// The estimate where so many values are equal: of two that differ one in 256 has the same eight bits.
  static func similarity(equal: Int) -> Double {
    let chance = 1.0 / 256
    return max(0, (Double(equal) / Double(count) - chance) / (1 - chance))
  }

  /// Whether a text has `leastShingles` different ones. So many bins with one each are enough, and save counting.
  private static func hasEnough(_ text: [UInt8], bins: Int) -> Bool {
    if bins >= leastShingles { return true }
    var distinct: Set<UInt64> = []
    forEachShingle(of: text) { distinct.insert($0) }
    return distinct.count >= leastShingles
  }

  /// Lower case, and one space for every run of white space and punctuation; a text of nothing else stays as it is.
  private static func normalized(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var isSpaced = true
    for byte in text {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): result.append(byte | 0x20)
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
        result.append(byte)
      default:
        if !isSpaced { result.append(0x20) }
        isSpaced = true
        continue
      }
      isSpaced = false
    }
    if isSpaced && !result.isEmpty { result.removeLast() }
    return result.isEmpty ? text : result
  }

  /// A hash of each run of 9 bytes, by a rolling polynomial; none of a shorter text.
  private static func forEachShingle(of text: [UInt8], _ body: (UInt64) -> Void) {
    let base: UInt64 = 0x9E37_79B9_7F4A_7C15
    var first: UInt64 = 1
    for _ in 0..<shingleBytes { first &*= base }
    var hash: UInt64 = 0
    for index in text.indices {
      hash = hash &* base &+ UInt64(text[index]) &+ 1
      if index >= shingleBytes { hash &-= first &* (UInt64(text[index - shingleBytes]) &+ 1) }
      if index >= shingleBytes - 1 { body(mixed(hash)) }
    }
  }

  /// The bin itself where it has a shingle, else one that has, the same for every text in which the same bins are empty.
  private static func filled(bin: Int, _ least: [UInt64]) -> Int {
    var (found, attempt) = (bin, UInt64(0))
    while least[found] == .max {
      attempt += 1
      found = Int(mixed(UInt64(bin) &+ attempt << 32) % UInt64(count))
    }
    return found
  }

  /// The finalizer of MurmurHash3 (Appleby): every bit of the input changes half of those of the output.
  static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 33)) &* 0xFF51_AFD7_ED55_8CCD
    z = (z ^ (z >> 33)) &* 0xC4CE_B9FE_1A85_EC53
    return z ^ (z >> 33)
  }
}
