import ArgumentParser
import Encoder
import Formats
import Foundation
import LinFiK
import Records

/// `score --output-dir`: a scored file for each input, and a mark beside it when it is whole.
struct ScoreFolder {
  let inputs: [InputFiles.File]
  let folder: String
  let shard: Shard?
  let force: Bool
  /// Of its alinfik.json, which has those of its other files.
  let valuatorSHA256: String
  let precision: ValuatorPrecision
  let configuration: ScoringConfiguration
  let progress: ScoreProgress

  /// An input, its output, and what decides the output's bytes.
  fileprivate typealias Job = (input: String, output: String, settings: JSONValue)

  /// What this run has to do, and what is done already.
  struct Work {
    fileprivate var open: [Job] = []
    /// Inputs that are not what they were when they were scored, and what is said of them.
    fileprivate var changed: [String] = []
    fileprivate(set) var done = ScoringSummary()
    /// Inputs of this run, and of all shards.
    fileprivate(set) var own = 0
    fileprivate(set) var all = 0

    var openInputs: [String] { open.map(\.input) }
    var doneInputs: Int { own - open.count - changed.count }
  }

  /// Throws before anything is scored where names or settings do not fit.
  func work() throws -> Work {
    let all = try jobs()
    let own = all.enumerated().filter { index, _ in
      shard.map { index % $0.count == $0.index - 1 } ?? true
    }.map(\.element)
    var work = Work(own: own.count, all: all.count)
    for job in own {
      do {
        if let finished = try finished(job) { work.done.add(finished) } else { work.open.append(job) }
      } catch FormatError.changed(let path, let reason) {
        work.changed.append("\(path): \(reason)")
      }
    }
    return work
  }

  /// Scores what is open. An input that cannot be read to its end, or has a bad line that is an error, is told, and the others are scored
  /// all the same.
  func run(_ work: Work, with scorer: Scorer) throws {
    let started = Date()
    var (total, before) = (work.done, work.done.records)
    var faults = work.changed
    faults.forEach(progress.terminal.warn)
    for job in work.open {
      do {
        let (whole, begun) = try score(job, with: scorer)
        total.add(whole)
        before += begun
      } catch let error where Self.isOfInput(error) {
        let words = "\((error as? RecordError)?.withWayOut ?? error)"
        progress.terminal.warn(words)
        faults.append(words)
      }
    }
    progress.finish(total, before: before, since: started)
    if !faults.isEmpty { throw UnscoredInputs(count: faults.count, of: work.own) }
  }

  /// Whether the fault lies in this input alone.
  private static func isOfInput(_ error: any Error) -> Bool {
    switch error {
    case RecordError.badLine, FormatError.changed, FormatError.missing, FormatError.malformed: true
    default: false
    }
  }

  private func finished(_ job: Job) throws -> ScoringSummary? {
    force ? nil : try ScoredFile.finished(input: job.input, output: job.output, settings: job.settings)
  }

  /// What was scored of an input in all, and how many records of it before.
  private func score(_ job: Job, with scorer: Scorer) throws -> (ScoringSummary, before: Int) {
    let started = Date()
    try FileManager.default.createDirectory(
      atPath: URL(fileURLWithPath: job.output).deletingLastPathComponent().path,
      withIntermediateDirectories: true)
    let file = try ScoredFile(input: job.input, output: job.output, settings: job.settings, force: force)
    // Another process may have finished it since this one looked.
    if let finished = try finished(job) {
      file.discard()
      return (finished, finished.records)
    }
    let begun = file.begun
    if file.isAnew {
      progress.terminal.say("\(job.input): it has changed since a part of it was scored, and is scored anew")
    }
    if begun.position != .start {
      progress.terminal.say("\(job.input): goes on after line \(begun.position.lines)")
    }
    let input = try LineReader(path: job.input, from: begun.position)
    scorer.begin(after: begun.position, summary: begun.summary)
    do {
      try progress.score(input, with: scorer, into: file, kept: { _ = try file.keep($0, scorer.position) })
    } catch {
      if (try? file.keep(scorer.summary, scorer.position, now: true)) == true {
        progress.breakOff(job.input, after: scorer.position.lines)
      }
      throw error
    }
    try file.commit(scorer.summary)
    progress.finish(job.input, scorer.summary, before: begun.summary.records, since: started)
    return (scorer.summary, begun.summary.records)
  }

  /// Every input with its output: under its own name, or that which it has within a folder that was named.
  private func jobs() throws -> [Job] {
    try OutputFile.refuseInputs(inputs.map { "\(folder)/\($0.name)" }, inputs.map(\.path))
    var places: [String: String] = [:]
    return try inputs.map { input in
      let output = "\(folder)/\(input.name)"
      if let other = places.updateValue(input.path, forKey: output) {
        throw ValidationError(
          "\(output): both \(other) and \(input.path) would be written under this name; give the folder they are in"
        )
      }
      let settings = try ScoredFile.settings(
        input: input.path, valuator: valuatorSHA256, precision: precision, configuration: configuration)
      return (input.path, output, settings)
    }
  }
}

/// Some inputs of a folder have no scores; what is wrong with each has been said.
struct UnscoredInputs: Error, ExitCoded, CustomStringConvertible {
  let count: Int
  let all: Int

  init(count: Int, of all: Int) { (self.count, self.all) = (count, all) }

  var exitCode: Int32 { Exit.badData }
  var description: String {
    "\(count) of \(all) inputs \(count == 1 ? "is" : "are") not scored, for the reasons above; the others are"
  }
}
