/// Texts that were taken already, and which of them a new one repeats: exactly by its hash, nearly by its MinHash.
///
/// Candidates come from locality-sensitive hashing (Indyk & Motwani 1998; bands as in Leskovec, Rajaraman & Ullman, chapter 3): 20 bands
/// of 6 values, so a text of likeness J to one that is here becomes a candidate with probability `1 - (1 - J^6)^20`, 0.998 at 0.8 and 0.01
/// at 0.3; what counts is the estimate by the whole signature. About 40 bytes a text for exact duplicates and 300 for near ones. A value type
/// of one thread; the same insertions in the same order give the same answers.
package struct DuplicateIndex: Sendable {
  package enum Match: Sendable, Equatable {
    /// The same text as that of this number.
    case exact(Int)
    /// A text whose estimated likeness is at least the threshold: the likest, of equal ones the first.
    case near(Int, similarity: Double)

    /// The text that is repeated, by the number `insert` gave it.
    package var original: Int {
      switch self {
      case .exact(let number), .near(let number, _): number
      }
    }
  }

  private static let bands = 20
  private static let bandBytes = 6
  /// Candidates looked at in a band: texts that share a form but not their content must not make an index slow.
  private static let mostCandidates = 256
  private static let none = UInt32.max

  /// The likeness from which texts are near duplicates; nil where only exact ones are.
  package let threshold: Double?
  package private(set) var count = 0
  /// Texts that it can hold.
  package let mostTexts: Int
  private var exact: [ContentHash: UInt32] = [:]
  /// By number: signatures, one behind the other.
  private var signatures: [UInt8] = []
  /// By bucket: the place (number x bands + band) that was put there last; and by place: the one before it.
  private var heads: [UInt32] = []
  private var before: [UInt32] = []

  /// - Parameters:
  ///   - nearFrom: above 0 and at most 1; nil to find exact duplicates alone.
  ///   - most: texts that it may hold; for tests of what happens then.
  package init(nearFrom threshold: Double?, most: Int = .max) {
    precondition(
      threshold.map { $0 > 0 && $0 <= 1 } ?? true, "DuplicateIndex: a threshold of \(threshold ?? 0)")
    self.threshold = threshold
    mostTexts = min(most, Int(Self.none) / (threshold == nil ? 1 : Self.bands))
  }

  /// What the text repeats, nil where it is new. A text without a signature is compared exactly alone.
  package func match(_ hash: ContentHash, _ signature: MinHashSignature?) -> Match? {
    if let number = exact[hash] { return .exact(Int(number)) }
    guard let threshold, let signature, count > 0 else { return nil }
    var best: (number: Int, equal: Int)?
    for band in 0..<Self.bands {
      forEachCandidate(signature.bytes, band: band) { number in
        let equal = equalValues(signature.bytes, number)
        if let known = best, (known.equal, -known.number) >= (equal, -number) { return }
        best = (number, equal)
      }
    }
    guard let best else { return nil }
    let similarity = MinHashSignature.similarity(equal: best.equal)
    return similarity >= threshold ? .near(best.number, similarity: similarity) : nil
  }

  /// Takes a text in and gives it its number, counted from 0. It need not be new. Throws where it is one too many.
  @discardableResult
  package mutating func insert(_ hash: ContentHash, _ signature: MinHashSignature?) throws(DuplicatesError)
    -> Int
  {
    let number = count
    guard number < mostTexts else { throw .tooManyTexts(limit: mostTexts, near: threshold != nil) }
    count += 1
    if exact[hash] == nil { exact[hash] = UInt32(number) }
    guard threshold != nil else { return number }
    guard let signature else {
      // It keeps its number, and no bucket leads to it.
      signatures.append(contentsOf: repeatElement(0, count: MinHashSignature.count))
      before.append(contentsOf: repeatElement(Self.none, count: Self.bands))
      return number
    }
    signatures += signature.bytes
    before.append(contentsOf: repeatElement(Self.none, count: Self.bands))
    if before.count > heads.count { grow() } else { link(number) }
    return number
  }

  // MARK: Buckets

  private mutating func link(_ number: Int) {
    let start = number * MinHashSignature.count
    for band in 0..<Self.bands {
      let bucket = bucket(signatures[(start + band * Self.bandBytes)...], band)
      let place = number * Self.bands + band
      before[place] = heads[bucket]
      heads[bucket] = UInt32(place)
    }
  }

  private mutating func grow() {
    heads = [UInt32](repeating: Self.none, count: max(1 << 10, 2 * heads.count))
    for number in 0..<count where isLinked(number) { link(number) }
  }

  /// A text without a signature has zeros for one, which no text has but by a chance of 256^-120.
  private func isLinked(_ number: Int) -> Bool {
    let start = number * MinHashSignature.count
    return signatures[start..<start + MinHashSignature.count].contains { $0 != 0 }
  }

  private func bucket(_ values: ArraySlice<UInt8>, _ band: Int) -> Int {
    var key = UInt64(band)
    for value in values.prefix(Self.bandBytes) { key = key << 8 | UInt64(value) }
    return Int(truncatingIfNeeded: MinHashSignature.mixed(key)) & (heads.count - 1)
  }

  /// Those that have the band's values too, the last first.
  private func forEachCandidate(_ signature: [UInt8], band: Int, _ body: (Int) -> Void) {
    let own = signature[(band * Self.bandBytes)..<((band + 1) * Self.bandBytes)]
    var place = heads.isEmpty ? Self.none : heads[bucket(own, band)]
    var left = Self.mostCandidates
    while place != Self.none, left > 0 {
      let (number, itsBand) = Int(place).quotientAndRemainder(dividingBy: Self.bands)
      let start = number * MinHashSignature.count + band * Self.bandBytes
      if itsBand == band, signatures[start..<start + Self.bandBytes].elementsEqual(own) {
        body(number)
        left -= 1
      }
      place = before[Int(place)]
    }
  }

  private func equalValues(_ signature: [UInt8], _ number: Int) -> Int {
    let start = number * MinHashSignature.count
    var equal = 0
    for index in 0..<MinHashSignature.count where signature[index] == signatures[start + index] { equal += 1 }
    return equal
  }
}
