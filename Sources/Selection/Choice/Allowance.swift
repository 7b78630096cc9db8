import Duplicates
import Formats

/// A row that was chosen.
package struct ChosenRow: Sendable {
  package var row: Int
  package var id: ByteString
  package var score: Double
  package var source: Int
  package var tokens: Int
  package var bytes: Int
}

/// Takes rows one after the other while budget, sources and duplicates allow it. Memory grows with what is chosen.
struct Allowance {
  /// By source, in the budget's unit.
  struct Limits {
    var caps: [Int?]
    /// What is kept for the source.
    var minimums: [Int]
  }

  /// What is left of the budget is filled with what fits among so many rows behind the first that does not.
  private static let filledFrom = 1000

  private let budget: Budget
  private let mostChosen: Int
  private let limits: Limits
  private var duplicates: DuplicateIndex?
  private(set) var chosen: [ChosenRow] = []
  private(set) var used = 0
  /// By source.
  private(set) var usedOf: [Int]
  /// By source and decision: rows that were refused for another reason than the budget.
  private(set) var refused: [[Int]]
  /// Of the budget, still kept for sources that have not given what they must.
  private var reserved: Int
  /// The first row that the budget had no room for.
  private(set) var firstLeftOut: RankedRow?
  private var passedOver = 0

  init(_ configuration: SelectionConfiguration, limits: Limits) {
    (budget, mostChosen) = (configuration.budget, configuration.mostChosen)
    self.limits = limits
    duplicates =
      configuration.duplicates == .keep
      ? nil : DuplicateIndex(nearFrom: configuration.duplicates == .near ? configuration.likeness : nil)
    usedOf = limits.minimums.map { _ in 0 }
    refused = limits.minimums.map { _ in [Int](repeating: 0, count: RowDecision.allCases.count) }
    reserved = limits.minimums.reduce(0, +)
  }

  /// Nothing more will be taken, and the best row that was left out is known.
  var isFull: Bool { isClosed && reserved == 0 && firstLeftOut != nil }

  /// Whether more would have been taken: every row was offered, and of none it was the budget that left it out. Where rows do not fit into
  /// what is left, or a single one into the whole, the budget is smaller than the data, however much of it is unused.
  var exceedsData: Bool {
    firstLeftOut == nil && used < budget.amount
      && refused.allSatisfy { $0[Int(RowDecision.tooLarge.rawValue)] == 0 }
  }

  /// Only rows that are kept room for are still taken.
  private var isClosed: Bool { passedOver > Self.filledFrom || used + reserved >= budget.amount }

  /// Takes the row, or says why not; with its number among the chosen, or that of the one that was chosen instead. Throws where more would
  /// be chosen than can be.
  mutating func take(_ row: RankedRow) throws -> (decision: RowDecision, chosen: Int?) {
    let size = row.size(in: budget.unit)
    let need = max(0, limits.minimums[row.source] - usedOf[row.source])
    if isClosed && need == 0 { return leaveOut(row) }
    if size > budget.amount { return refuse(row, .tooLarge) }
    if let cap = limits.caps[row.source], usedOf[row.source] + size > cap { return refuse(row, .sourceCap) }
    if let match = duplicates?.match(row.hash, row.signature) {
      if case .exact = match { return refuse(row, .duplicate, match.original) }
      return refuse(row, .nearDuplicate, match.original)
    }
    let reservedAfter = reserved - min(size, need)
    guard used + size + reservedAfter <= budget.amount else { return leaveOut(row) }
    guard chosen.count < mostChosen else { throw SelectionError.tooManyChosen(limit: mostChosen) }
    try duplicates?.insert(row.hash, row.signature)
    used += size
    usedOf[row.source] += size
    reserved = reservedAfter
    chosen.append(
      ChosenRow(
        row: row.row, id: row.id, score: row.score, source: row.source, tokens: row.tokens ?? 0,
        bytes: row.bytes))
    return (.chosen, chosen.count - 1)
  }

  private mutating func refuse(
    _ row: RankedRow, _ decision: RowDecision, _ other: Int? = nil
  ) -> (decision: RowDecision, chosen: Int?) {
    refused[row.source][Int(decision.rawValue)] += 1
    return (decision, other)
  }

  private mutating func leaveOut(_ row: RankedRow) -> (decision: RowDecision, chosen: Int?) {
    firstLeftOut = firstLeftOut ?? row
    passedOver += 1
    return (.budget, nil)
  }
}
