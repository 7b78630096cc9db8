import Formats
import RankStatistics
import Records

/// Some scored lines, in order.
struct ScoredLines: Sendable {
  /// As they are written, with their ends.
  var bytes: [[UInt8]] = []
  var summary = ScoringSummary()
  /// The place after the last of them; nil where there is none.
  var end: LineReader.Position?
  /// What ended them before their time.
  var failure: (any Error)?
}

/// What is said of one line.
package struct LineScore: Sendable {
  package let record: Record
  package let score: Valuator.Score
  /// Runs of tokens that it was read in.
  let windows: Int
}

/// Scores lines by themselves: whatever stands beside them, and whoever does it, the bytes are the same.
package struct LineScorer: Sendable {
  package let valuator: Valuator
  package let configuration: ScoringConfiguration
  private let parser: RecordParser
  /// One a worker.
  private let workspaces: [EncoderWorkspaces]
  /// Of a score's spread, to its interval's half width; nil where there are no intervals.
  private let multiplier: Double?

  /// `alinfik_valuator`, where it is asked for.
  private let origin: JSONValue?

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
    origin = configuration.valuatorSHA256.map { sha256 in
      JSONValue(
        ScoreOrigin(valuator: sha256, isRaw: configuration.isRaw, pooling: configuration.pooling).key)
    }
    parser = RecordParser(configuration.records)
    workspaces = (0..<configuration.workers).map { _ in EncoderWorkspaces(1) }
  }

  /// The lines with their scores; where bad ones end a run, those before the first of them.
  func score(_ lines: [LineReader.Line], of file: String, worker: Int) throws -> ScoredLines {
    var scored = ScoredLines()
    for (line, result) in zip(lines, try results(lines, of: file, worker: worker)) {
      switch result {
      case .success(let found):
        scored.summary.windowed += found.windows > 1 ? 1 : 0
        scored.bytes.append(try self.scored(line, found.record, found.score, &scored.summary))
        scored.summary.records += 1
        scored.end = line.end
      case .failure(let error) where configuration.onError == .fail:
        scored.failure = error
        return scored
      case .failure(let error): reject(line, error, &scored)
      }
    }
    return scored
  }

  /// What is said of each line, or why nothing is; where bad lines end a run, up to the first of them.
  ///
  /// - Parameter worker: below the configuration's workers; only one caller may have a number at a time.
  package func results(
    _ lines: [LineReader.Line], of file: String, worker: Int
  ) throws -> [Result<LineScore, RecordError>] {
    var good: [(record: Record, windows: [EncodedText])] = []
    var results: [Result<Int, RecordError>] = []
    for line in lines {
      do throws(RecordError) {
        if let fault = line.fault { throw .badLine(file: file, line: line.number, reason: fault) }
        let record = try parser.parse(line.bytes, file: file, line: line.number)
        let windows = try windows(of: record)
        results.append(.success(good.count))
        good.append((record, windows))
      } catch {
        results.append(.failure(error))
        if configuration.onError == .fail { break }
      }
    }
    let texts = good.flatMap(\.windows)
    let scores = try valuator.scores(of: texts, workspaces: workspaces[worker])
    var next = 0
    return results.map { result in
      result.flatMap { place in
        let (record, windows) = good[place]
        let own = Array(scores[next..<next + windows.count])
        next += own.count
        let score = configuration.pooling.pooled(own, windows: windows, map: valuator.card.calibration)
        guard score.isFinite else {
          return .failure(
            record.failure("its score is not a finite number; the valuator's weights are broken: train anew"))
        }
        return .success(LineScore(record: record, score: score, windows: own.count))
      }
    }
  }

  private func reject(_ line: LineReader.Line, _ error: RecordError, _ scored: inout ScoredLines) {
    scored.summary.records += 1
    scored.summary.badLines += 1
    scored.summary.rejected.append(.init(line: line.number, message: "\(error)"))
    scored.bytes.append(marked(line, error))
    scored.end = line.end
  }

  private func windows(of record: Record) throws(RecordError) -> [EncodedText] {
    configuration.pooling == .first
      ? [try valuator.encoding.encode(record)] : try valuator.encoding.windows(of: record)
  }

  private func scored(
    _ line: LineReader.Line, _ record: Record, _ score: Valuator.Score, _ summary: inout ScoringSummary
  ) throws -> [UInt8] {
    summary.scored += 1
    summary.tokens += score.tokens
    summary.truncated += score.isTruncated ? 1 : 0
    if !summary.shapes.contains(record.shape) { summary.shapes.append(record.shape) }
    if let isOutside = score.isOutside {
      summary.outside += isOutside ? 1 : 0
    } else if valuator.card.domain != nil {
      summary.untold += 1
    }
    let said = values(of: score)
    if configuration.isSidecar { return lineBytes([("id", .string(record.id))] + said) }
    let changes =
      said.map { (key: $0.key, value: Optional($0.value)) }
      + ScoreKey.all.filter { own in !said.contains { $0.key == own } }.map { (key: $0, value: nil) }
    return try JSONObjectScanner(line.bytes).changing(changes) + [0x0A]
  }

  /// The keys that a record gets.
  package func values(of score: Valuator.Score) -> [(key: ByteString, value: JSONValue)] {
    var values: [(key: ByteString, value: JSONValue)] = [
      (ScoreKey.score, configuration.isRaw ? JSONValue(score.raw) : JSONValue(score.value))
    ]
    if let multiplier, let spread = score.spread {
      values.append((ScoreKey.low, JSONValue(score.value - multiplier * spread)))
      values.append((ScoreKey.high, JSONValue(score.value + multiplier * spread)))
    }
    if valuator.card.domain != nil, !configuration.isRaw {
      values.append((ScoreKey.outOfDomain, score.isOutside.map { JSONValue($0) } ?? .null))
    }
    values.append((ScoreKey.tokens, JSONValue(score.tokens)))
    values.append((ScoreKey.truncated, JSONValue(score.isTruncated)))
    if let origin { values.append((ScoreKey.valuator, origin)) }
    return values
  }

  private func lineBytes(_ members: [(key: ByteString, value: JSONValue)]) -> [UInt8] {
    JSONValue.object(members).serialized() + [0x0A]
  }

  /// The record with `alinfik_error` in the place of a score. A line that is no JSON object comes out as one that
  /// holds it as a string, unless it was too long to be kept.
  private func marked(_ line: LineReader.Line, _ error: RecordError) -> [UInt8] {
    let message = JSONValue("\(error)")
    let scanner = try? JSONObjectScanner(line.bytes)
    if configuration.isSidecar {
      let id = scanner.flatMap { (try? $0.value(ByteString(configuration.records.idField))) ?? nil }
      return lineBytes([("id", id ?? .null), (ScoreKey.error, message)])
    }
    guard let scanner else {
      // What is no UTF-8 would be no JSON either.
      let shown = JSONValue(String(decoding: line.bytes, as: UTF8.self))
      var members: [(key: ByteString, value: JSONValue)] = [("id", .null), (ScoreKey.error, message)]
      if line.fault == nil { members.append((key: "alinfik_line", value: shown)) }
      return lineBytes(members)
    }
    let others = ScoreKey.all.filter { $0 != ScoreKey.error }
    return scanner.changing([(key: ScoreKey.error, value: message)] + others.map { (key: $0, value: nil) })
      + [0x0A]
  }
}
