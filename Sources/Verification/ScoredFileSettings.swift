import Encoder
import Formats

/// What decided the scores of a file, as it is said on the command line. The mark beside it (`NAME.done.json`) is signed by nobody: it may
/// repeat what is said or the defaults, and nothing else.
package struct ScoredFileSettings: Sendable {
  package var pooling: WindowPooling?
  package var isRaw: Bool?
  package var coverage: Double?
  package var textField: String?
  package var idField: String?

  package init() {}

  /// How the rows of a file are to be scored again, and whether it is the file that its mark was made for.
  ///
  /// - Throws: `VerificationError` where the mark names another valuator, or something else than was said or is the default, or the file
  ///   has no texts.
  func configuration(
    of path: String, valuatorSHA256: String, workers: Int
  ) throws -> (configuration: ScoringConfiguration, isAsMarked: Bool) {
    var settings = self
    var isAsMarked = true
    if let mark = try ScoreMark.read(beside: path) {
      try settings.take(mark.settings, of: path, valuatorSHA256)
      isAsMarked = try mark.outputSHA256 == FileHash.sha256(path: path)
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
    try Self.agree("raw", &isRaw, mark["raw"]?.bool, usually: false, path)
    var usual = ScoringConfiguration()
    usual.isRaw = isRaw ?? false
    try Self.agree(
      "pooling", &pooling, mark["pooling"]?.string.flatMap { WindowPooling(rawValue: $0) },
      usually: usual.pooling, path)
    try Self.agree("coverage", &coverage, mark["coverage"]?.double, usually: usual.coverage, path)
    try Self.agree(
      "text-field", &textField, mark["text_field"]?.string, usually: usual.records.textField, path)
    let idKey = mark["id_field"]?.string
    try Self.agree("id-field", &idField, idKey, usually: usual.records.idField, path)
  }

  private static func agree<Value: Equatable>(
    _ name: String, _ said: inout Value?, _ marked: Value?, usually usual: Value?, _ path: String
  ) throws {
    if said == nil, let marked, marked != usual {
      let option = marked is Bool ? "--\(name)" : "--\(name) \(marked)"
      throw VerificationError.options(
        "\(path).done.json says \(option); give it yourself if that is what was agreed on")
    }
    if let value = said, value != marked {
      throw VerificationError.options(
        "--\(name) \(value): \(path).done.json says \(marked.map { "\($0)" } ?? "none"); leave it out")
    }
    said = marked
  }
}
