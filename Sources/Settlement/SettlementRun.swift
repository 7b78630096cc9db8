import Duplicates
import Encoder
import Formats
import RankStatistics
import Records

/// Reads scored rows once, in their order, and adds up what each provider brought.
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

  package init(_ options: SettlementOptions) {
    self.options = options
    switch options.duplicates {
    case .counted: index = nil
    case .exact: index = DuplicateIndex(nearFrom: nil)
    case .near(let threshold): index = DuplicateIndex(nearFrom: threshold)
    }
  }

  /// Reads all of it and closes the account. Throws `RecordError.badLine` for a line that is no scored record, has no tokens, no text or
  /// no provider, or a score of another origin than the others; `SettlementError` where nothing can be said of the whole.
  ///
  /// - Parameter progress: called after some rows with their number.
  package static func settle(
    _ paths: [String], records recordOptions: RecordOptions, _ options: SettlementOptions,
    progress: (Int) throws -> Void = { _ in }
  ) throws -> Settlement {
    var recordOptions = recordOptions
    recordOptions.sourceField = options.by
    let reader = ScoredRecordReader(paths: paths, options: recordOptions)
    let run = SettlementRun(options)
    try reader.forEach { record in
      try run.add(record)
      if run.claimed.rows % 1000 == 0 { try progress(run.claimed.rows) }
    }
    if reader.origins.known?.isRaw == true { throw SettlementError.rawScores }
    guard run.pool.count.rows > 0 || run.claimed.rows > run.withoutScore else {
      throw SettlementError.empty(inputs: paths)
    }
    return try run.settlement(origins: reader.origins)
  }

  /// Takes the next row into account.
  package func add(_ scored: ScoredRecord) throws {
    guard let score = scored.score else { return addWithoutScore(scored) }
    guard let tokens = scored.tokens else {
      throw scored.failure("it has no alinfik_tokens, by which values are set against tokens; score it again")
    }
    let record = try scored.record()
    let provider = try place(of: record)
    let line = scored.bytes + [0x0A]
    records.update(line)
    claimed.add(tokens: tokens)
    tallies[provider].claim(line: line, tokens: tokens)
    let isOutside = scored.isOutside
    if isOutside != nil { knowsDomain = true }
    let counts = options.countsOutside || isOutside != true
    let value = options.weight == .rows ? score : score * Double(tokens) / 1000
    let text = record.text
    let claim = (provider: UInt32(provider), counts: counts, value: counts ? value : 0)
    if let (number, isExact) = try match(text.bytes, claim) {
      return addCopy(of: number, isExact: isExact, record, provider: provider, tokens: tokens)
    }
    if isOutside == true { tallies[provider].outside.add(tokens: tokens) }
    guard counts else { return }
    let row = ShownRow(
      id: record.id.string, score: score, tokens: tokens,
      excerpt: options.includesTexts ? Self.excerpt(text) : nil)
    tallies[provider].count(row, value: value, isOutside: isOutside)
    pool.add(score: score, value: value, tokens: tokens, isOutside: isOutside)
  }

  /// What the text repeats; where it is new it is taken in. A row that counts is no copy of one that does not: it takes its place, or who
  /// hands in a spoilt text first could make the good one worth nothing to anybody.
  private func match(
    _ text: [UInt8], _ row: (provider: UInt32, counts: Bool, value: Double)
  ) throws -> (number: Int, isExact: Bool)? {
    guard index != nil else { return nil }
    let hash = ContentHash(text)
    let signature = index!.threshold == nil ? nil : MinHashSignature(of: text)
    if let match = index!.match(hash, signature) {
      let number = replacing[match.original] ?? match.original
      var isExact = false
      if case .exact = match { isExact = true }
      guard row.counts, !firsts[number].counts else { return (number, isExact) }
      firsts[number] = row
      // Theirs do not count either, so they have no part in it.
      holders[number] = nil
      // What repeats this text repeats the earlier one; the same text leads there already.
      guard !isExact else { return nil }
      try replacing[index!.insert(hash, signature)] = number
      firsts.append(row)
      return nil
    }
    try index!.insert(hash, signature)
    firsts.append(row)
    return nil
  }

  private func addCopy(of number: Int, isExact: Bool, _ record: Record, provider: Int, tokens: Int) {
    let first = firsts[number]
    tallies[provider].noteCopy(record.id.string, isExact: isExact)
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
    tallies[provider].othersValue += first.value
    overlaps[Pair(first: Int(first.provider), later: provider), default: Overlap.Sum()].add(first.value)
  }

  /// A line that `score` could not read. Whose it is, it may not say.
  private func addWithoutScore(_ scored: ScoredRecord) {
    let line = scored.bytes + [0x0A]
    records.update(line)
    claimed.add(tokens: 0)
    withoutScore += 1
    guard let record = try? scored.record(), let provider = try? place(of: record) else { return }
    tallies[provider].claim(line: line, tokens: 0)
    tallies[provider].withoutScore += 1
  }

  private func place(of record: Record) throws -> Int {
    guard let name = record.source else {
      throw record.failure(
        "it has no '\(options.by)', which says who brought it; --by names the field that does")
    }
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

  /// The beginning of a text.
  private static func excerpt(_ text: ByteString) -> String {
    let beginning = text.string.prefix(240)
    return beginning.count < 240 ? String(beginning) : beginning + "…"
  }
}
