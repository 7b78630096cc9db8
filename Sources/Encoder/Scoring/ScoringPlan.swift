import Formats
import Foundation

/// What a run would score, how, and in how much memory.
package struct ScoringPlan: Sendable {
  package let valuator: Valuator
  package let configuration: ScoringConfiguration
  /// Inputs of this run, standard input among them; and which part of how many that is, where they are shared.
  package var inputs: Int
  package var part: String?
  /// Those of them that earlier runs have scored (nil where no run is gone on with), and their records.
  package var doneInputs: Int?
  package var doneRecords = 0
  /// Bytes of the others as they lie on disk; nil where one is a pipe. How many records that is nobody knows before they are read.
  package let bytes: Int?

  /// - Parameter paths: what would be read; `-` is standard input.
  package init(valuator: Valuator, configuration: ScoringConfiguration, paths: [String]) {
    (self.valuator, self.configuration) = (valuator, configuration)
    inputs = paths.count
    let sizes = paths.map { path -> Int? in
      var status = stat()
      guard path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
      return Int(status.st_size)
    }
    bytes = sizes.contains(nil) ? nil : sizes.reduce(0) { $0 + ($1 ?? 0) }
  }

  /// Of lines in work, and of what a batch of tokens needs: what token embeddings of width 576 take, small ones less.
  private static let bytesAWorker = 96 << 20

  /// About: what the process holds now that the valuator is loaded, and what workers add, whatever the size of the input.
  package var memoryBytes: Int { residentBytes() + configuration.workers * Self.bytesAWorker }

  package var description: String {
    let precision = valuator.card.precision
    let done = doneInputs.map { ", \($0) of them done before (\(doneRecords) records)" } ?? ""
    let size = bytes.map { String(format: ", %.1f MB to read", Double($0) / 1e6) } ?? ""
    return """
      \(valuator.card.labelKind) valuator, \(valuator.card.maxTokens) tokens at once, long texts: \(configuration.pooling.rawValue) \
      of windows, \(configuration.workers) workers, products: \(precision.path)
      \(inputs) inputs\(part ?? "")\(done)\(size); about \(memoryBytes >> 20) MiB of memory
      """
  }

  package var json: JSONValue {
    [
      "label_kind": JSONValue(valuator.card.labelKind), "max_tokens": JSONValue(valuator.card.maxTokens),
      "precision": JSONValue(valuator.card.precision.rawValue),
      "products": JSONValue(valuator.card.precision.path),
      "pooling": JSONValue(configuration.pooling.rawValue), "workers": JSONValue(configuration.workers),
      "inputs": JSONValue(inputs), "bytes": bytes.map { JSONValue($0) } ?? .null,
      "inputs_done": JSONValue(doneInputs ?? 0), "records_done": JSONValue(doneRecords),
      "memory_bytes": JSONValue(memoryBytes),
    ]
  }
}

/// Memory that the process has in use now.
private func residentBytes() -> Int {
  let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
  let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}
