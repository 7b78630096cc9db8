import Encoder
import Foundation
import Records

extension SettlementRun {
  /// Reads all of it and closes the account: lines are read side by side and counted in their order, so that nothing depends on the
  /// number of workers. Throws `RecordError.badLine` for a line that is no scored record, has no tokens, no text or no provider, or a
  /// score of another origin than the others; `SettlementError` where nothing can be said of the whole.
  ///
  /// - Parameter progress: called after some rows with their number.
  package static func settle(
    _ paths: [String], records recordOptions: RecordOptions, _ options: SettlementOptions, workers: Int = 1,
    progress: (Int) throws -> Void = { _ in }
  ) throws -> Settlement {
    var recordOptions = recordOptions
    recordOptions.sourceField = options.by
    let run = SettlementRun(options)
    let claims = ClaimReader(options)
    let reader = ScoredRecordReader(
      options: recordOptions, workers: workers, allowsUnknownOrigin: options.allowsUnknownOrigin)
    for path in paths {
      try reader.read(path, keep: claims.claim) { read in
        for claim in read { try run.add(claim) }
        try progress(run.claimed.rows)
      }
    }
    if reader.origins.known?.isRaw == true { throw SettlementError.rawScores }
    guard run.pool.count.rows > 0 || run.claimed.rows > run.withoutScore else {
      throw SettlementError.empty(inputs: paths)
    }
    return try run.settlement(
      origins: reader.origins, inputs: paths.map { URL(fileURLWithPath: $0).lastPathComponent })
  }
}
