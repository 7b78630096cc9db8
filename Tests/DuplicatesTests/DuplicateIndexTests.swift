import Duplicates
import Testing

/// Texts of random words: two share no shingle but by chance.
private func words(_ count: Int, seed: UInt64) -> [String] {
  var state = seed
  return (0..<count).map { _ in
    String(
      (0..<6).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8((state >> 33) % 26)))
      })
  }
}

private func bytes(_ words: [String]) -> [UInt8] { Array(words.joined(separator: " ").utf8) }

/// Jaccard's likeness of the sets of 9-byte runs, exactly.
private func likeness(_ left: [UInt8], _ right: [UInt8]) -> Double {
  func runs(_ text: [UInt8]) -> Set<[UInt8]> { Set((0...text.count - 9).map { Array(text[$0..<$0 + 9]) }) }
  let (a, b) = (runs(left), runs(right))
  return Double(a.intersection(b).count) / Double(a.union(b).count)
}

@Suite struct DuplicateIndexTests {
  /// Over many pairs the estimate is the true likeness, within four standard errors of a pair and of their mean.
  @Test(arguments: [0.05, 0.2, 0.5]) func theEstimateIsJaccards(_ changed: Double) throws {
    var errors: [Double] = []
    for pair in 0..<60 {
      let text = words(300, seed: UInt64(pair) + 1)
      let other = words(300, seed: UInt64(pair) + 1000)
      let step = Int((1 / changed).rounded())
      let copy = text.indices.map { $0 % step == 0 ? other[$0] : text[$0] }
      let truth = likeness(bytes(text), bytes(copy))
      let signature = try #require(MinHashSignature(of: bytes(text)))
      let estimate = signature.similarity(to: try #require(MinHashSignature(of: bytes(copy))))
      errors.append(estimate - truth)
      #expect(abs(errors.last!) < 4 * (0.25 / 120).squareRoot())
    }
    let mean = errors.reduce(0, +) / Double(errors.count)
    #expect(abs(mean) < 4 * (0.25 / 120 / 60).squareRoot(), "mean error \(mean)")
  }

  @Test func caseAndPunctuationAreNoDifference() {
    let rest = " while all of the seven dogs of the house slept below the stairs until noon"
    let plain = MinHashSignature(of: Array(("The cat sat on the mat and looked at the moon" + rest).utf8))
    let loud = MinHashSignature(
      of: Array(("  the CAT sat, on the mat -- and looked\nat the moon!" + rest).utf8))
    #expect(plain != nil && plain == loud)
  }

  /// A text of few shingles has no signature: two that differ would be one in 256 times, or more often, the same.
  @Test func shortTextsAreComparedExactlyAlone() throws {
    for short in ["", "a", "...", "日本語", String(repeating: "the same again ", count: 50)] {
      #expect(MinHashSignature(of: Array(short.utf8)) == nil, "\(short)")
    }
    let text = bytes(words(12, seed: 1))
    #expect(MinHashSignature(of: Array(text.prefix(71))) == nil)
    #expect(MinHashSignature(of: Array(text.prefix(72))) != nil)
    var index = DuplicateIndex(nearFrom: 0.8)
    for number in 0..<1000 {
      let short = Array("n\(number)".utf8)
      #expect(index.match(ContentHash(short), MinHashSignature(of: short)) == nil)
      try index.insert(ContentHash(short), MinHashSignature(of: short))
    }
  }

  @Test func copiesAndNearCopiesAreFound() throws {
    var index = DuplicateIndex(nearFrom: 0.8)
    let texts = (0..<3000).map { bytes(words(80, seed: UInt64($0) + 1)) }
    for (number, text) in texts.enumerated() {
      let (hash, signature) = (ContentHash(text), MinHashSignature(of: text))
      #expect(index.match(hash, signature) == nil)
      #expect(try index.insert(hash, signature) == number)
    }
    for number in stride(from: 0, to: 3000, by: 7) {
      #expect(index.match(ContentHash(texts[number]), nil) == .exact(number))
      // Two of eighty words are others: a likeness of about 0.9.
      var copy = words(80, seed: UInt64(number) + 1)
      copy[10] = "zzzzzz"
      copy[60] = "yyyyyy"
      let match = index.match(ContentHash(bytes(copy)), MinHashSignature(of: bytes(copy)))
      guard case .near(number, similarity: let similarity) = match else {
        Issue.record("copy \(number): \(String(describing: match))")
        continue
      }
      #expect(similarity >= 0.8 && similarity < 1)
      // Half of the words are others: no copy any more.
      for place in stride(from: 0, to: 80, by: 2) { copy[place] = "x\(place)" }
      #expect(index.match(ContentHash(bytes(copy)), MinHashSignature(of: bytes(copy))) == nil)
    }
  }

  @Test(arguments: [nil, 0.8]) func oneTextTooManyIsAnError(_ threshold: Double?) throws {
    var index = DuplicateIndex(nearFrom: threshold, most: 3)
    for number in 0..<3 { #expect(try index.insert(ContentHash([UInt8(number)]), nil) == number) }
    let error = #expect(throws: DuplicatesError.tooManyTexts(limit: 3, near: threshold != nil)) {
      try index.insert(ContentHash([9]), nil)
    }
    #expect("\(try #require(error))".contains("more than 3 different texts") && index.count == 3)
    // Places are numbered in 32 bits: of near ones twenty a text.
    #expect(DuplicateIndex(nearFrom: threshold).mostTexts == (threshold == nil ? 4_294_967_295 : 214_748_364))
  }

  @Test func withoutAThresholdOnlyTheSameIsADuplicate() throws {
    var index = DuplicateIndex(nearFrom: nil)
    let text = bytes(words(50, seed: 3))
    try index.insert(ContentHash(text), nil)
    let changed = text + [0x21]
    #expect(index.match(ContentHash(text), MinHashSignature(of: text)) == .exact(0))
    #expect(index.match(ContentHash(changed), MinHashSignature(of: changed)) == nil)
    // One that has no signature is no candidate, and does not shift the numbers of others.
    var near = DuplicateIndex(nearFrom: 0.7)
    try near.insert(ContentHash([1]), nil)
    #expect(try near.insert(ContentHash(text), MinHashSignature(of: text)) == 1)
    #expect(near.match(ContentHash(changed), MinHashSignature(of: changed)) == .near(1, similarity: 1))
  }
}
