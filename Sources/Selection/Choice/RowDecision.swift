import Formats

/// What became of a row; a byte each, by its place in the input.
package enum RowDecision: UInt8, Sendable, CaseIterable {
  /// There was better for the budget.
  case budget
  case chosen
  case duplicate
  case nearDuplicate
  case sourceCap
  case belowLeast
  case noScore
  case redundant
  /// It alone is larger than the budget.
  case tooLarge
  case outOfDomain

  /// The key in summaries.
  package var name: String {
    switch self {
    case .budget: "budget"
    case .chosen: "chosen"
    case .duplicate: "duplicate"
    case .nearDuplicate: "near_duplicate"
    case .sourceCap: "source_cap"
    case .belowLeast: "below_min_score"
    case .noScore: "no_score"
    case .redundant: "redundant"
    case .tooLarge: "too_large"
    case .outOfDomain: "out_of_domain"
    }
  }

  /// Whether the row is left out for what it is by itself, whatever else is chosen.
  var isOfRowAlone: Bool { self == .noScore || self == .belowLeast || self == .outOfDomain }

  /// As `alinfik_reason` says it.
  ///
  /// - Parameter other: the id of the row that was chosen instead, where there is one.
  func reason(other: ByteString?) -> ByteString {
    let words =
      switch self {
      case .budget: "budget"
      case .chosen: "chosen"
      case .duplicate: "duplicate of"
      case .nearDuplicate: "near duplicate of"
      case .sourceCap: "source cap"
      case .belowLeast: "below min score"
      case .noScore: "no score"
      case .redundant: "redundant beside"
      case .tooLarge: "larger than the budget"
      case .outOfDomain: "out of domain"
      }
    return ByteString(Array(words.utf8) + (other.map { [0x20] + $0.bytes } ?? []))
  }
}

/// The decisions on all rows, by their place in the input: four bytes a row.
package struct RowVerdicts: Sendable {
  /// The decision in the lower four bits, above it the number of a chosen row and one, 0 for none.
  private var words: [UInt32] = []

  /// Chosen rows that can be told apart.
  package static let mostChosen = 1 << 28 - 1

  package init() {}

  package var count: Int { words.count }

  package mutating func append(_ decision: RowDecision) { words.append(UInt32(decision.rawValue)) }

  /// What was decided, and the number of the chosen row that it is about: the row itself, or the one that was chosen instead.
  package subscript(row: Int) -> (decision: RowDecision, chosen: Int?) {
    get {
      let number = Int(words[row] >> 4)
      return (RowDecision(rawValue: UInt8(words[row] & 15))!, number == 0 ? nil : number - 1)
    }
    set {
      let number = (newValue.chosen ?? -1) + 1
      precondition(number <= Self.mostChosen, "RowVerdicts: chosen row \(number)")
      words[row] = UInt32(newValue.decision.rawValue) | UInt32(number) << 4
    }
  }

  /// Forgets what was decided but for what rows are by themselves.
  mutating func reset() {
    for row in words.indices where !self[row].decision.isOfRowAlone {
      words[row] = UInt32(RowDecision.budget.rawValue)
    }
  }
}
