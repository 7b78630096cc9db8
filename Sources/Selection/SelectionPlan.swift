import Duplicates
import Formats
import Foundation

/// What a selection would cost, told from the files' sizes alone.
package struct SelectionPlan {
  private let configuration: SelectionConfiguration
  private let files: Int
  private let bytes: Int

  package init(_ configuration: SelectionConfiguration, files: [String]) throws {
    self.configuration = configuration
    self.files = files.count
    bytes = try files.reduce(0) { try $0 + FileStamp(path: $1).bytes }
  }

  /// Of a row, beside its id.
  private var storedBytes: Int {
    RankedRow.fixedBytes + 16 + (configuration.duplicates == .near ? MinHashSignature.count : 0)
  }

  package var words: String {
    let readings = configuration.diversity == nil ? "twice" : "three times"
    return """
      \(files) files of \(bytes) bytes are read \(readings) by \(configuration.workers) workers; budget: \
      \(configuration.budget.amount) \(configuration.budget.unit)
      memory: about \((configuration.runBytes + configuration.runBytes / 4) >> 20) MB for sorting, 4 MB a million rows, about 600 MB a million chosen rows; \
      disk while it runs: about \(storedBytes) MB a million rows, in \(configuration.scratchFolder)
      """
  }
}
