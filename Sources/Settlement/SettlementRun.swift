import Duplicates
import Formats
import RankStatistics

/// Adds up, claim by claim in their order, what each provider brought.
///
/// Nothing is kept of a row but what copies are told by, and whose it is: some 60 bytes a text for exact copies, 500 with a MinHash for
/// near ones. The statistics are of a fixed size a provider. "First" is always by the order of the input.
package final class SettlementRun {
  let options: SettlementOptions
  private var index: DuplicateIndex?
  /// By the number of a text in the index: who brought it, whether it counts, and for what.
  private var firsts: [(provider: UInt32, counts: Bool, value: Double)] = []
  /// By the number of a text that counts in place of an earlier one which does not: the earlier one's number.
  private var replacing: [Int: Int] = [:]
  /// By the number of a text that others brought too: those others, in their order.
  private var holders: [Int: [UInt32]] = [:]
  private(set) var overlaps: [Pair: Overlap.Sum] = [:]
  private(set) var tallies: [ProviderTally] = []
  private var places: [ByteString: Int] = [:]
  private(set) var pool = CountedRows()
  private(set) var claimed = RowCount()
  private(set) var withoutScore = 0
  /// Whether any row says if it is in the valuator's domain.
  private(set) var knowsDomain = false
  private var records = HashStream()

  /// Who had rows first, and who brought them later.
  struct Pair: Hashable {
    var first: Int
    var later: Int
  }

  init(_ options: SettlementOptions) {
    self.options = options
    switch options.duplicates {
    case .keep: index = nil
    case .exact: index = DuplicateIndex(nearFrom: nil)
    case .near(let threshold): index = DuplicateIndex(nearFrom: threshold)
    }
  }

  /// Takes the next line into account.
  func add(_ claim: Claim) throws {
    let tokens = claim.row?.shown.tokens ?? 0
    records.update(claim.line)
    claimed.add(tokens: tokens)
    var place: Int?
    if let name = claim.provider { place = try self.place(of: name) }
    if let place { tallies[place].claim(line: claim.line, tokens: tokens) }
    guard let row = claim.row, let provider = place else {
      withoutScore += 1
      if let place { tallies[place].withoutScore += 1 }
      return
    }
    if row.isOutside != nil { knowsDomain = true }
    let counts = options.countsOutside || row.isOutside != true
    let first = (provider: UInt32(provider), counts: counts, value: counts ? row.value : 0)
    if let (number, isExact) = try match(row, first) {
      return addCopy(of: number, isExact: isExact, row.shown, provider: provider)
    }
    if row.isOutside == true { tallies[provider].outside.add(tokens: tokens) }
    guard counts else { return }
    tallies[provider].count(row.shown, value: row.value, isOutside: row.isOutside)
    pool.add(score: row.shown.score, value: row.value, tokens: tokens, isOutside: row.isOutside)
  }

  /// What the text repeats; where it is new it is taken in. A row that counts is no copy of one that does not: it takes its place, or who
  /// hands in a spoilt text first could make the good one worth nothing to anybody.
  private func match(
    _ row: Claim.Row, _ first: (provider: UInt32, counts: Bool, value: Double)
  ) throws(DuplicatesError) -> (number: Int, isExact: Bool)? {
    guard index != nil, let hash = row.hash else { return nil }
    let signature = row.signature
    if let match = index!.match(hash, signature) {
      let number = replacing[match.original] ?? match.original
      var isExact = false
      if case .exact = match { isExact = true }
      guard first.counts, !firsts[number].counts else { return (number, isExact) }
      firsts[number] = first
      // Theirs do not count either, so they have no part in it.
      holders[number] = nil
      // What repeats this text repeats the earlier one; the same text leads there already.
      guard !isExact else { return nil }
      try replacing[index!.insert(hash, signature)] = number
      firsts.append(first)
      return nil
    }
    try index!.insert(hash, signature)
    firsts.append(first)
    return nil
  }

  private func addCopy(of number: Int, isExact: Bool, _ row: ShownRow, provider: Int) {
    let (first, tokens) = (firsts[number], row.tokens)
    tallies[provider].noteCopy(row.id, isExact: isExact)
    let others = holders[number, default: []]
    if Int(first.provider) == provider || others.contains(UInt32(provider)) {
      return tallies[provider].ownCopies.add(tokens: tokens)
    }
    if others.isEmpty, first.counts {
      tallies[Int(first.provider)].sharedRows += 1
      tallies[Int(first.provider)].sharedValue += first.value
    }
    holders[number] = others + [UInt32(provider)]
    tallies[provider].othersCopies.add(tokens: tokens)
    if first.counts { tallies[provider].othersRows += 1 }
    tallies[provider].othersValue += first.value
    overlaps[Pair(first: Int(first.provider), later: provider), default: Overlap.Sum()].add(first.value)
  }

  private func place(of name: ByteString) throws(SettlementError) -> Int {
    if let place = places[name] { return place }
    guard tallies.count < SettlementOptions.mostProviders else {
      throw SettlementError.tooManyProviders(limit: SettlementOptions.mostProviders, by: options.by)
    }
    places[name] = tallies.count
    tallies.append(ProviderTally(name: name, seed: options.seed, resamples: options.resamples))
    return tallies.count - 1
  }

  /// Divides the value of rows that several brought equally among them, in the order of the rows.
  func divideEqually() {
    for (number, others) in holders.sorted(by: { $0.key < $1.key }) {
      let (first, _, value) = firsts[number]
      let part = value / Double(others.count + 1)
      tallies[Int(first)].equalPartsDifference -= value - part
      for other in others { tallies[Int(other)].equalPartsDifference += part }
    }
  }

  var recordsSHA256: String { records.hexDigest() }
}
