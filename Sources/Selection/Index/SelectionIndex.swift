import Duplicates
import Encoder
import Formats
import Records

/// What a first reading of the input leaves beside `RowVerdicts`: sources, and of rows that may be chosen what ranks them, in sorted
/// runs.
package struct SelectionIndex {
  /// A source, and what stands in the input of it.
  package struct Source: Sendable {
    /// Empty for rows that name none.
    package var name: ByteString
    package var rows = 0
    package var tokens = 0
    package var bytes = 0
    /// In the budget's unit, of rows that may be chosen.
    package var available = 0
    /// Rows that may not be chosen, by why.
    package var excluded: [RowDecision: Int] = [:]
  }

  /// A file, and what tells whether it is the same when it is read again.
  struct Input: Sendable {
    var path: String
    var stamp: FileStamp
    var rows: Int

    /// Throws where it is another file than was read first.
    func refuseChanged() throws {
      guard try FileStamp(path: path) == stamp else { throw SelectionError.changed(path: path) }
    }
  }

  let runs: RankedRuns
  var inputs: [Input] = []
  package internal(set) var sources: [Source] = []
  var histogram = ScoreHistogram()
  package internal(set) var origins: ScoreOrigins
  /// Whether every row's tokens are known.
  package internal(set) var hasTokens = true
  /// Whether any row says if it is in the valuator's domain.
  package internal(set) var tellsDomain = false

  init(runs: RankedRuns, origins: ScoreOrigins) { (self.runs, self.origins) = (runs, origins) }

  package func sum(_ value: (Source) -> Int) -> Int { sources.reduce(0) { $0 + value($1) } }
}
