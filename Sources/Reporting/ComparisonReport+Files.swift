import Foundation

/// What can go wrong when a report is written or read.
package enum ReportingError: Error, CustomStringConvertible {
  case cannotWrite(path: String, reason: String)
  case cannotRead(path: String, reason: String)

  package var description: String {
    switch self {
    case .cannotWrite(let path, let reason):
      "\(path): the report cannot be written (\(reason)); check that the folder is writable and has room"
    case .cannotRead(let path, let reason):
      "\(path): this is no comparison report (\(reason)); it is made by alinfik compare"
    }
  }
}

extension ComparisonReport {
  /// Writes `report.json` and `report.html` into `directory`, which is made where it is missing. Each file is
  /// written beside its final name and renamed when whole.
  package func write(to directory: String) throws(ReportingError) {
    let folder = URL(fileURLWithPath: directory, isDirectory: true)
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw .cannotWrite(path: directory, reason: error.localizedDescription)
    }
    try Self.write(json(), to: folder.appendingPathComponent("report.json"))
    try Self.write(Data(html().utf8), to: folder.appendingPathComponent("report.html"))
  }

  /// The report as JSON: snake-case keys in alphabetical order, so that equal reports are equal files.
  package func json() -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    do {
      return try encoder.encode(self)
    } catch {
      preconditionFailure("ComparisonReport holds only what JSON can hold: \(error)")
    }
  }

  /// Reads what `json()` wrote.
  package static func read(json: Data, path: String) throws(ReportingError) -> ComparisonReport {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      return try decoder.decode(ComparisonReport.self, from: json)
    } catch {
      throw .cannotRead(path: path, reason: "\(error)")
    }
  }

  private static func write(_ data: Data, to file: URL) throws(ReportingError) {
    do {
      try data.write(to: file, options: .atomic)
    } catch {
      throw .cannotWrite(path: file.path, reason: error.localizedDescription)
    }
  }
}
