import Duplicates
import Formats
import Foundation

/// What a selection would cost, told from the files' sizes alone: how many rows they hold nobody knows before they are read.
package struct SelectionPlan {
  private let configuration: SelectionConfiguration
  private let files: Int
  private let bytes: Int

  package init(_ configuration: SelectionConfiguration, files: [String]) throws {
    self.configuration = configuration
    self.files = files.count
    bytes = try files.reduce(0) { try $0 + FileStamp(path: $1).bytes }
  }

  private var readings: Int { configuration.diversity == nil ? 2 : 3 }

  /// Of memory: the rows that are sorted at once and their places; a verdict a row; what is kept of a chosen row.
  private var sortingBytes: Int { configuration.runBytes + configuration.runBytes / 4 }
  private static let rowBytes = 4
  private static let chosenRowBytes = 600

  /// On disk, of a row, with an id of 16 bytes.
  private var storedBytes: Int {
    RankedRow.fixedBytes + 16 + (configuration.duplicates == .near ? MinHashSignature.count : 0)
  }

  package var words: String {
    let readings = readings == 2 ? "twice" : "three times"
    let (budget, workers) = (configuration.budget, configuration.workers)
    return """
      \(files == 1 ? "1 file" : "\(files) files") of \(Budget.Unit.bytes.words(bytes)), read \(readings) by \
      \(workers == 1 ? "1 worker" : "\(workers) workers"); budget: \(budget.unit.words(budget.amount))
      memory: about \(sortingBytes >> 20) MB for sorting, \(Self.rowBytes) MB a million rows, about \(Self.chosenRowBytes) MB a million \
      chosen rows; disk while it runs: about \(storedBytes) MB a million rows, in \(configuration.scratchFolder)
      """
  }

  package var json: JSONValue {
    [
      "files": JSONValue(files), "bytes": JSONValue(bytes), "readings": JSONValue(readings),
      "workers": JSONValue(configuration.workers),
      "budget": [
        "unit": JSONValue(configuration.budget.unit.rawValue),
        "amount": JSONValue(configuration.budget.amount),
      ],
      "memory": [
        "sorting_bytes": JSONValue(sortingBytes), "row_bytes": JSONValue(Self.rowBytes),
        "chosen_row_bytes": JSONValue(Self.chosenRowBytes),
      ],
      "disk": ["row_bytes": JSONValue(storedBytes)],
      "folder": JSONValue(configuration.scratchFolder),
    ]
  }
}
