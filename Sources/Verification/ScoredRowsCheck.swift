import Encoder
import Formats
import RankStatistics
import TensorKernels

/// Rows of scored files drawn at random and scored again: how many are wrong, and how many of all can be.
package struct ScoredRowsCheck: Sendable {
  /// Of how many rows there are, and how many were drawn.
  package let count: Int
  package let drawn: Int
  package let wrong: [WrongRow]
  /// Files that are not those that their marks were made for.
  package let changedFiles: [String]
  /// As a share of the range of the head's outputs.
  package let tolerance: Double
  /// What the rows of each file were scored again with.
  package let configurations: [(path: String, configuration: ScoringConfiguration)]

  private static let settingKeys: [ByteString] = ["raw", "coverage", "pooling", "text_field", "id_field"]
  package static let confidence = 0.95
  /// A round of work for each worker, between two looks at progress and cancellation.
  private static let linesAJob = 8
  private static let jobsAWorker = 4

  private struct Job {
    let file: Int
    let lines: ArraySlice<LineReader.Line>
  }

  /// - Parameters:
  ///   - settings: what the files were scored with.
  ///   - allowsMissing: lines may lack what the valuator says beside the score, as those of earlier versions do.
  /// - Throws: `VerificationError` where a file was scored by another valuator or there is nothing to check.
  package init(
    _ paths: [String], valuator directory: String, settings: ScoredFileSettings, rows: Int, seed: UInt64,
    workers: Int, allowsMissing: Bool = false, progress: (String) -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    let valuator = try Valuator.load(directory: directory)
    let sha256 = try FileHash.sha256(path: directory + "/" + ValuatorFiles.cardName)
    var changed: [String] = []
    var comparisons: [String: RowComparison] = [:]
    var used: [(path: String, configuration: ScoringConfiguration)] = []
    for path in paths {
      let (configuration, isAsMarked) = try settings.configuration(
        of: path, valuatorSHA256: sha256, workers: workers)
      if !isAsMarked { changed.append(path) }
      if comparisons[path] == nil { used.append((path, configuration)) }
      comparisons[path] = RowComparison(
        try LineScorer(valuator: valuator, configuration: configuration), valuatorSHA256: sha256,
        allowsMissing: allowsMissing)
    }
    let lines = try DrawnLines(
      paths, size: rows, seed: seed, progress: { progress("\($0) rows read") }, isCancelled: isCancelled)
    guard lines.count > 0 else {
      throw VerificationError.refuted(paths.joined(separator: ", "), "there is no row to check")
    }
    let jobs = lines.files.enumerated().flatMap { file, drawn in
      stride(from: 0, to: drawn.lines.count, by: Self.linesAJob).map {
        Job(file: file, lines: drawn.lines[$0..<min(drawn.lines.count, $0 + Self.linesAJob)])
      }
    }
    var found: [WrongRow] = []
    for start in stride(from: 0, to: jobs.count, by: workers * Self.jobsAWorker) {
      if isCancelled() { throw VerificationError.interrupted }
      let round = jobs[start..<min(jobs.count, start + workers * Self.jobsAWorker)]
      progress("scored again: \(start * Self.linesAJob) of \(lines.drawn) rows, \(found.count) wrong")
      let (checks, files) = (comparisons, lines.files)
      found += try parallelMap(count: round.count, workers: workers) { worker, index in
        let job = round[round.startIndex + index]
        let file = files[job.file]
        return try checks[file.path]!.wrong(Array(job.lines), of: file.name, worker: worker)
      }.flatMap { $0 }
    }
    (count, drawn, wrong, changedFiles) = (lines.count, lines.drawn, found, changed)
    tolerance = valuator.tolerance
    configurations = used
  }

  /// What a file's rows were scored again with, by file.
  package var settings: [(path: String, settings: [(key: ByteString, value: JSONValue)])] {
    configurations.map { path, configuration in
      (path, configuration.description.filter { Self.settingKeys.contains($0.key) })
    }
  }

  private var settingsJSON: JSONValue {
    .array(
      settings.map { file -> JSONValue in
        var members: [(key: ByteString, value: JSONValue)] = [("file", JSONValue(file.path))]
        members += file.settings
        return JSONValue.object(members)
      })
  }

  /// Whether nothing is left to chance.
  package var isWhole: Bool { drawn == count }
  package var passed: Bool { wrong.isEmpty && changedFiles.isEmpty }

  /// The share of wrong rows among all is at most this with 95 % confidence; known where all were drawn.
  package var wrongShareAtMost: Double {
    isWhole
      ? Double(wrong.count) / Double(count)
      : binomialUpperBound(wrong: wrong.count, of: drawn, confidence: Self.confidence)
  }

  /// How probable it was to draw one of `share` of all rows, had so many been wrong.
  package func findingProbability(share: Double) -> Double {
    RankStatistics.findingProbability(
      wrong: min(count, max(1, Int((share * Double(count)).rounded()))), of: count, drawn: drawn)
  }

  package var json: JSONValue {
    [
      "rows": JSONValue(count), "drawn": JSONValue(drawn), "wrong": JSONValue(wrong.count),
      "passed": JSONValue(passed), "wrong_share_at_most": JSONValue(wrongShareAtMost),
      "confidence": JSONValue(isWhole ? 1 : Self.confidence),
      "one_percent_would_be_found": JSONValue(findingProbability(share: 0.01)),
      "tolerance": JSONValue(tolerance),
      "settings": settingsJSON,
      "changed_files": .array(changedFiles.map { JSONValue($0) }),
      "wrong_rows": .array(
        wrong.map { row in
          [
            "place": JSONValue(row.place), "id": JSONValue(row.id), "key": JSONValue(row.key),
            "said": JSONValue(row.said), "found": JSONValue(row.found),
          ]
        }),
    ]
  }
}

extension RowComparison {
  /// The wrong ones of some lines.
  fileprivate func wrong(_ lines: [LineReader.Line], of file: String, worker: Int) throws -> [WrongRow] {
    zip(lines, try scorer.results(lines, of: file, worker: worker)).compactMap { wrong($0, of: file, $1) }
  }
}
