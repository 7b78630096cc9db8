import Formats
import RankStatistics

/// What providers brought, what it is worth, and what is paid for it: everything that the page and the JSON say.
package struct Settlement: Codable, Sendable, Equatable {
  package var format = "alinfik-settlement"
  package var facts: SettlementFacts
  package var pool: PoolStatement
  /// By their value, the highest first; one of them alone where the report is for one.
  package var providers: [ProviderStatement]
  /// Who brought later what another had brought before; empty where the report is for one provider.
  package var overlaps: [Overlap]
  package var payment: PaymentStatement?
}

/// What was read, and by which rules.
package struct SettlementFacts: Codable, Sendable, Equatable {
  package var alinfikVersion: String
  package var by: String
  /// The provider whom the report is for; nil for all of them.
  package var provider: String?
  package var providerCount: Int
  /// What a counted row is worth, as a formula of its score s and its tokens t.
  package var weight: String
  package var value: String
  /// `near`, `exact` or `keep`; with `near` the likeness from which texts are copies.
  package var duplicates: String
  package var likeness: Double?
  package var countsOutside: Bool
  package var resamples: Int
  package var seed: String
  /// Of the valuator's alinfik.json, as far as the records or the mark beside their file say; nil where they do not.
  package var valuatorSHA256: String?
  package var pooling: String?
  /// Rows of which neither says it.
  package var rowsOfUnknownValuator: Int
  /// The inputs' names without their folders, in the order that decides who brought a text first; nil where the report is for one provider.
  package var inputs: [String]?
  /// SHA-256 of all lines in their order, each with a line end.
  package var recordsSHA256: String
}

/// What counted rows add up to.
package struct ValueStatement: Codable, Sendable, Equatable {
  package var rows: Int
  package var tokens: Int
  /// Σ of the rows' values.
  package var total: Double
  package var totalInterval: Interval?
  /// A row's on average; nil without one, as all that follow.
  package var mean: Double?
  package var meanInterval: Interval?
  package var perThousandTokens: Double?
  package var perThousandTokensInterval: Interval?
  package var meanScore: Double?
  /// The 5, 25, 50, 75 and 95 % quantiles of scores, each within half a percent.
  package var scoreQuantiles: [Double]?
  /// Shares of the rows in bins of equal width between `Settlement.histogramRange` of the pool.
  package var scoreHistogram: [Double]
  /// Rows whose score is below zero, their share, and what they take from the total.
  package var negativeRows: Int
  package var negativeShare: Double?
  package var negativeValue: Double
  /// Rows too short to tell whether they are in the valuator's domain; nil where no row says anything of it.
  package var untoldRows: Int?
}

/// All providers together.
package struct PoolStatement: Codable, Sendable, Equatable {
  package var claimed: RowCount
  package var withoutScore: Int
  package var copies: RowCount
  /// Nil where no row says if it is in the valuator's domain.
  package var outside: RowCount?
  package var outsideShare: Double?
  package var counted: ValueStatement
  /// The ends of the histograms' range: the pool's lowest and highest score, without a thousandth of the rows at each end.
  package var histogramRange: [Double]
}

/// One provider.
package struct ProviderStatement: Codable, Sendable, Equatable {
  package var name: String
  package var claimed: RowCount
  package var withoutScore: Int
  /// Copies of its own earlier rows; copies of rows that others brought before; of both, those that are near copies.
  package var ownCopies: RowCount
  package var othersCopies: RowCount
  package var nearCopies: Int
  /// Spelt so that the JSON says `copy_ids`.
  package var copyIds: [String]
  package var outside: RowCount?
  /// Of what is left without copies.
  package var outsideShare: Double?
  package var counted: ValueStatement
  /// Of all providers' value, those below zero taken as zero.
  package var share: Double
  package var shareInterval: Interval?
  /// The shared part, of rows that count: its own that others brought later, and their value; those of others that it brought later, and
  /// theirs.
  package var sharedRows: Int
  package var sharedValue: Double
  package var othersRows: Int
  package var othersValue: Double
  /// The total if each row were divided equally among those who brought it.
  package var totalInEqualParts: Double
  package var best: [ShownRow]
  package var worst: [ShownRow]
  package var recordsSHA256: String
}

/// Rows of one provider that another brought later.
package struct Overlap: Codable, Sendable, Equatable {
  struct Sum: Sendable {
    var rows = 0
    var value = 0.0

    mutating func add(_ value: Double) {
      rows += 1
      self.value += value
    }
  }

  package var first: String
  package var later: String
  package var rows: Int
  package var value: Double
}

/// What is paid, and by which rule.
package struct PaymentStatement: Codable, Sendable, Equatable {
  package var policy: String
  package var words: String
  package var formula: String
  package var floor: Double?
  package var slope: Double?
  /// c of a price list's formula.
  package var factor: Double?
  /// Digits behind the point of V, and of c, with which every amount follows from what the page shows; nil where none are enough.
  package var valueDecimals: Int?
  package var factorDecimals: Int?
  /// With `share` Σ max(0, V) over all providers, of the values that are rounded so, or of all their digits.
  package var valueSum: Double?
  package var currency: String
  package var decimals: Int
  /// All in the currency's smallest unit; the amounts and what is unspent add up to the budget.
  package var budgetUnits: Int
  package var unspentUnits: Int?
  /// In the order of the settlement's providers.
  package var amounts: [Amount]

  package struct Amount: Codable, Sendable, Equatable {
    package var provider: String
    package var units: Int
    package var text: String
  }
}
