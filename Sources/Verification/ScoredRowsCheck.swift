import Encoder
import Formats
import RankStatistics
import TensorKernels

/// Rows of scored files drawn at random and scored again: how many are wrong, and how many of all can be.
///
/// Rows with a score and lines that are marked with an error instead are drawn apart, so that no number of the latter makes the former
/// less likely to be drawn.
package struct ScoredRowsCheck: Sendable {
  /// Rows with a score: how many there are, how many were drawn, and the wrong ones among those.
  package let count: Int
  package let drawn: Int
  package let wrong: [WrongRow]
  /// The same of marked lines; wrong is one that has a score.
  package let marked: (count: Int, drawn: Int, wrong: [WrongRow])
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
  ///   - tolerance: of the head's outputs, as a share of their range; nil: what other machines may differ by (`Valuator.tolerance`).
  ///   - allowsMissing: lines may lack what the valuator says beside the score, as those of earlier versions do.
  /// - Throws: `VerificationError` where a file was scored by another valuator or there is nothing to check.
  package init(
    _ paths: [String], valuator directory: String, settings: ScoredFileSettings, rows: Int, seed: UInt64,
    workers: Int, tolerance: Double? = nil, allowsMissing: Bool = false,
    progress: (String) -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    let valuator = try Valuator.load(directory: directory)
    let tolerance = tolerance ?? valuator.tolerance
    let sha256 = try FileHash.sha256(path: directory + "/" + ValuatorFiles.cardName)
    var changed: [String] = []
    var comparisons: [String: RowComparison] = [:]
    // One for each way of scoring, for each has a workspace a worker.
    var made: [[UInt8]: RowComparison] = [:]
    var used: [(path: String, configuration: ScoringConfiguration)] = []
    for path in paths {
      let (configuration, isAsMarked) = try settings.configuration(
        of: path, valuatorSHA256: sha256, workers: workers)
      if !isAsMarked { changed.append(path) }
      if comparisons[path] == nil { used.append((path, configuration)) }
      let key = JSONValue.object(configuration.description).serialized()
      let comparison =
        try made[key]
        ?? RowComparison(
          try LineScorer(valuator: valuator, configuration: configuration), valuatorSHA256: sha256,
          tolerance: tolerance, allowsMissing: allowsMissing)
      (made[key], comparisons[path]) = (comparison, comparison)
    }
    let parts = try DrawnLines.inParts(
      2, by: { Self.isMarked($0) ? 1 : 0 }, paths, size: rows, seed: seed,
      progress: { progress("\($0) rows read") }, isCancelled: isCancelled)
    guard parts[0].count > 0 else {
      throw VerificationError.refuted(
        paths.joined(separator: ", "),
        parts[1].count > 0
          ? "all \(parts[1].count) lines are marked with alinfik_error: there is no score to check"
          : "there is no row to check")
    }
    let found = try parts.map { lines in
      try Self.wrong(lines, comparisons, workers: workers, progress: progress, isCancelled: isCancelled)
    }
    (count, drawn, wrong, changedFiles) = (parts[0].count, parts[0].drawn, found[0], changed)
    marked = (parts[1].count, parts[1].drawn, found[1])
    self.tolerance = tolerance
    configurations = used
    guard !hasNoScores else {
      throw VerificationError.refuted(
        paths.joined(separator: ", "), "no row has an alinfik_score; `alinfik score \(directory)` adds it")
    }
  }

  /// Whether the line says that it has no score.
  private static func isMarked(_ line: LineReader.Line) -> Bool {
    guard let members = try? JSONObjectScanner(line.bytes).members else { return false }
    return members.contains { $0.key == ScoreKey.error } && !members.contains { $0.key == ScoreKey.score }
  }

  private static func wrong(
    _ lines: DrawnLines, _ comparisons: [String: RowComparison], workers: Int, progress: (String) -> Void,
    isCancelled: () -> Bool
  ) throws -> [WrongRow] {
    let files = lines.files
    let jobs = files.enumerated().flatMap { file, drawn in
      stride(from: 0, to: drawn.lines.count, by: linesAJob).map {
        Job(file: file, lines: drawn.lines[$0..<min(drawn.lines.count, $0 + linesAJob)])
      }
    }
    var found: [WrongRow] = []
    for start in stride(from: 0, to: jobs.count, by: workers * jobsAWorker) {
      if isCancelled() { throw VerificationError.interrupted }
      let round = jobs[start..<min(jobs.count, start + workers * jobsAWorker)]
      progress("scored again: \(start * linesAJob) of \(lines.drawn) rows, \(found.count) wrong")
      found += try parallelMap(count: round.count, workers: workers) { worker, index in
        let job = round[round.startIndex + index]
        let file = files[job.file]
        return try comparisons[file.path]!.wrong(Array(job.lines), of: file.name, worker: worker)
      }.flatMap { $0 }
    }
    return found
  }

  /// Whether nothing that was drawn has been scored by anybody.
  private var hasNoScores: Bool {
    wrong.count == drawn
      && wrong.allSatisfy { $0.key == ScoreKey.score.string && $0.said == RowComparison.nothing }
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
  package var passed: Bool { wrong.isEmpty && marked.wrong.isEmpty && changedFiles.isEmpty }

  /// The share of wrong rows among all that have a score is at most this with 95 % confidence; known where all were drawn.
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
      "marked": [
        "rows": JSONValue(marked.count), "drawn": JSONValue(marked.drawn),
        "wrong": JSONValue(marked.wrong.count),
      ],
      "passed": JSONValue(passed), "wrong_share_at_most": JSONValue(wrongShareAtMost),
      "confidence": JSONValue(isWhole ? 1 : Self.confidence),
      "one_percent_would_be_found": JSONValue(findingProbability(share: 0.01)),
      "tolerance": JSONValue(tolerance),
      "settings": settingsJSON,
      "changed_files": .array(changedFiles.map { JSONValue($0) }),
      "wrong_rows": .array(
        (wrong + marked.wrong).map { row in
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
