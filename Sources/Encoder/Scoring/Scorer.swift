import Formats
import Foundation
import RankStatistics
import Records
import TensorKernels

/// What scoring was asked to do.
package struct ScoringConfiguration: Sendable {
  package enum OnError: String, Sendable, CaseIterable {
    /// The first bad line ends the run.
    case fail
    /// A bad line comes out with `alinfik_error` and no score.
    case mark
  }

  package var onError = OnError.fail
  /// The head's own output instead of label units.
  package var isRaw = false
  /// How often `alinfik_low ... alinfik_high` should hold the label; nil: the standard, where there are intervals.
  package var coverage: Double?
  package var pooling = WindowPooling.first
  package var records = RecordOptions()
  package var workers = 1

  package init() {}
}

/// What was scored.
package struct ScoringSummary: Sendable, Equatable {
  package var records = 0
  package var scored = 0
  package var badLines = 0
  /// The first ten messages about bad lines.
  package var messages: [String] = []
  package var tokens = 0
  package var truncated = 0
  /// Texts that were read in more windows than one.
  package var windowed = 0
  /// Scores of texts that are out of domain, and of texts too short to tell.
  package var outside = 0
  package var untold = 0
  package var shapes: [RecordShape] = []

  package init() {}

  static let maximumMessages = 10
}

/// Adds a score to every record of a stream, in bounded memory and in order: one line out for one in, its other
/// bytes as they were.
package final class Scorer {
  private let valuator: Valuator
  private let configuration: ScoringConfiguration
  private let parser: RecordParser
  private let workspaces: EncoderWorkspaces
  /// Of a score's spread, to its interval's half width; nil where there are no intervals.
  private let multiplier: Double?
  package private(set) var summary = ScoringSummary()

  /// What `alinfik_` keys are ours; those that are not written anew are removed, for they were said of another score.
  private static let ownKeys: [ByteString] = [
    "alinfik_error", "alinfik_low", "alinfik_high", "alinfik_ood", "alinfik_tokens", "alinfik_truncated",
  ]
  /// Lines scored together: enough work for every worker, little memory.
  private static let chunkLines = 256

  /// Throws where the valuator's intervals cannot have this coverage.
  package init(valuator: Valuator, configuration: ScoringConfiguration) throws {
    self.valuator = valuator
    self.configuration = configuration
    if let coverage = configuration.coverage, valuator.card.intervals == nil, !configuration.isRaw {
      throw EncoderError.coverage(coverage, needs: ConformalResiduals.fewest(coverage: coverage), has: 0)
    }
    multiplier =
      configuration.isRaw
      ? nil
      : try valuator.card.intervals?
        .multiplier(coverage: configuration.coverage ?? ScoreIntervals.standardCoverage)
    parser = RecordParser(configuration.records)
    workspaces = EncoderWorkspaces(configuration.workers)
  }

  /// Scores every line of `input`. What was written before an error stays written.
  ///
  /// - Parameters:
  ///   - progress: called after each chunk of lines, when they have been handed to the system.
  ///   - isCancelled: asked after each chunk; true ends the run with `EncoderError.interrupted`.
  package func score(
    _ input: LineReader, into output: any LineOutput, progress: (ScoringSummary) -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    var chunks = LineChunks(input, lines: Self.chunkLines)
    while let chunk = try chunks.next() {
      let parsed = try parse(chunk, of: input.name)
      try write(chunk, parsed, to: output)
      try output.flush()
      progress(summary)
      if isCancelled() { throw EncoderError.interrupted }
    }
  }

  /// A line's record and its windows as the encoder reads them, or what is wrong with it.
  private typealias Parsed = Result<(record: Record, windows: [EncodedText]), RecordError>

  private func parse(_ lines: [LineReader.Line], of file: String) throws -> [Parsed] {
    let (parser, encoding, pooling) = (parser, valuator.encoding, configuration.pooling)
    let share = 16
    let count = (lines.count + share - 1) / share
    return try parallelMap(count: count, workers: configuration.workers) { _, index in
      lines[index * share..<min(lines.count, (index + 1) * share)].map { line in
        Result { () throws(RecordError) in
          let record = try parser.parse(line.bytes, file: file, line: line.number)
          return (
            record, pooling == .first ? [try encoding.encode(record)] : try encoding.windows(of: record)
          )
        }
      }
    }.flatMap { $0 }
  }

  /// Scores and writes the lines; with `fail`, those before the first bad one.
  private func write(_ lines: [LineReader.Line], _ parsed: [Parsed], to output: any LineOutput) throws {
    var failure: RecordError?
    var count = lines.count
    if configuration.onError == .fail {
      for (index, result) in parsed.enumerated() {
        guard case .failure(let error) = result else { continue }
        (failure, count) = (error, index)
        break
      }
    }
    let good = parsed[..<count].compactMap { try? $0.get() }
    let scores = try valuator.scores(
      of: good.flatMap(\.windows), workers: configuration.workers, workspaces: workspaces)
    var next = 0
    for (line, result) in zip(lines, parsed[..<count]) {
      summary.records += 1
      switch result {
      case .success(let good):
        let own = Array(scores[next..<next + good.windows.count])
        next += own.count
        let score = configuration.pooling.pooled(own, windows: good.windows, map: valuator.card.calibration)
        summary.windowed += own.count > 1 ? 1 : 0
        try output.write(try scored(line, good.record, score))
      case .failure(let error): try output.write(marked(line, error))
      }
    }
    if let failure {
      try output.flush()
      throw failure
    }
  }

  private func scored(_ line: LineReader.Line, _ record: Record, _ score: Valuator.Score) throws -> [UInt8] {
    summary.scored += 1
    summary.tokens += score.tokens
    if score.isTruncated { summary.truncated += 1 }
    if !summary.shapes.contains(record.shape) { summary.shapes.append(record.shape) }
    guard score.raw.isFinite, score.value.isFinite, score.spread?.isFinite != false else {
      throw EncoderError.notFinite
    }
    if let isOutside = score.isOutside {
      summary.outside += isOutside ? 1 : 0
    } else if valuator.card.domain != nil {
      summary.untold += 1
    }
    var changes = values(of: score)
    changes += Self.ownKeys.filter { own in !changes.contains { $0.key == own } }.map {
      (key: $0, value: nil)
    }
    return try JSONObjectScanner(line.bytes).changing(changes) + [0x0A]
  }

  private func values(of score: Valuator.Score) -> [(key: ByteString, value: JSONValue?)] {
    if configuration.isRaw { return [(key: "alinfik_score", value: JSONValue(score.raw))] }
    var values: [(key: ByteString, value: JSONValue?)] = [
      (key: "alinfik_score", value: JSONValue(score.value))
    ]
    if let multiplier, let spread = score.spread {
      values.append((key: "alinfik_low", value: JSONValue(score.value - multiplier * spread)))
      values.append((key: "alinfik_high", value: JSONValue(score.value + multiplier * spread)))
    }
    if valuator.card.domain != nil {
      values.append((key: "alinfik_ood", value: score.isOutside.map { JSONValue($0) } ?? .null))
    }
    return values
  }

  /// The record with `alinfik_error` in the place of a score. A line that is no JSON object comes out as one that
  /// holds it as a string.
  private func marked(_ line: LineReader.Line, _ error: RecordError) -> [UInt8] {
    summary.badLines += 1
    if summary.messages.count < ScoringSummary.maximumMessages { summary.messages.append("\(error)") }
    let message = JSONValue("\(error)")
    var changes: [(key: ByteString, value: JSONValue?)] = [(key: "alinfik_error", value: message)]
    changes += (Self.ownKeys.dropFirst() + ["alinfik_score"]).map { (key: $0, value: nil) }
    if let scanner = try? JSONObjectScanner(line.bytes) { return scanner.changing(changes) + [0x0A] }
    let wrapped: JSONValue = ["alinfik_error": message, "alinfik_line": .string(ByteString(line.bytes))]
    return wrapped.serialized() + [0x0A]
  }
}
