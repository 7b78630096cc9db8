import Encoder
import Formats
import Foundation

/// What decided the scores of a file: what the mark beside it says (`NAME.done.json`), and without one what is said on the command line.
package struct ScoredFileSettings: Sendable {
  package var pooling: WindowPooling?
  package var isRaw: Bool?
  package var coverage: Double?
  package var textField: String?
  package var idField: String?

  package init() {}

  /// How the rows of a file are to be scored again, and whether it is the file that its mark was made for.
  ///
  /// - Throws: `VerificationError` where the mark names another valuator, or something else than was said, or the file has no texts.
  func configuration(
    of path: String, valuatorSHA256: String, workers: Int
  ) throws -> (configuration: ScoringConfiguration, isAsMarked: Bool) {
    var settings = self
    var isAsMarked = true
    let markPath = path + ".done.json"
    if path != "-", FileManager.default.fileExists(atPath: markPath) {
      let mark = try JSONValue.read(path: markPath)
      try settings.take(mark["settings"] ?? .null, of: path, valuatorSHA256)
      isAsMarked = try mark["output_sha256"]?.string == FileHash.sha256(path: path)
    }
    var configuration = ScoringConfiguration()
    configuration.onError = .mark
    if let pooling = settings.pooling { configuration.pooling = pooling }
    configuration.isRaw = settings.isRaw ?? false
    configuration.coverage = settings.coverage
    configuration.records.textField = settings.textField
    if let idField = settings.idField { configuration.records.idField = idField }
    configuration.workers = workers
    return (configuration, isAsMarked)
  }

  private mutating func take(_ mark: JSONValue, of path: String, _ valuatorSHA256: String) throws {
    guard mark["valuator_sha256"]?.string == valuatorSHA256 else {
      throw VerificationError.refuted(
        path, "it was scored by another valuator (as \(path).done.json says); give that one as --valuator")
    }
    guard mark["sidecar"]?.bool != true else {
      throw VerificationError.unknown(
        path, "it has scores without texts (--sidecar), which nobody can make again; verify whole records")
    }
    try agree("pooling", &pooling, mark["pooling"]?.string.flatMap { WindowPooling(rawValue: $0) }, path)
    try agree("raw", &isRaw, mark["raw"]?.bool, path)
    try agree("coverage", &coverage, mark["coverage"]?.double, path)
    try agree("text-field", &textField, mark["text_field"]?.string, path)
    try agree("id-field", &idField, mark["id_field"]?.string, path)
  }

  private func agree<Value: Equatable>(
    _ name: String, _ said: inout Value?, _ marked: Value?, _ path: String
  ) throws {
    if let value = said, value != marked {
      throw VerificationError.options(
        "--\(name) \(value): \(path).done.json says \(marked.map { "\($0)" } ?? "none"); leave it out")
    }
    said = marked
  }
}
