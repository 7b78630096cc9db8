import ArgumentParser
import Encoder
import Formats
import Foundation

/// `score --output-dir`: a scored file for each input, and a mark beside it when it is whole.
struct ScoreFolder {
  let command: ScoreCommand
  let scorer: Scorer
  let terminal: Terminal
  let plan: String

  private typealias Job = (input: String, output: String, settings: JSONValue)

  func run(into folder: String) throws {
    let all = try jobs(into: folder)
    let shard = command.shard?.shard
    let own = all.enumerated().filter { index, _ in
      shard.map { index % $0.count == $0.index - 1 } ?? true
    }.map(\.element)
    let (total, open) = try sorted(own)
    let part = shard.map { " of \(all.count), shard \($0)" } ?? ""
    let words = "\(plan); \(own.count) inputs\(part), \(own.count - open.count) of them done before"
    if command.common.dryRun {
      print(words)
      return
    }
    terminal.say(words)
    let started = Date()
    var scored = total
    var before = total.scored
    for job in open {
      let (whole, begun) = try score(job)
      scored.add(whole)
      before += begun
    }
    command.finish(scored, before: before, seconds: Date().timeIntervalSince(started), terminal)
  }

  /// What is done already, and what is left to do. Throws before anything is scored.
  private func sorted(_ jobs: [Job]) throws -> (done: ScoringSummary, open: [Job]) {
    var done = ScoringSummary()
    var open: [Job] = []
    for job in jobs {
      let finished =
        command.common.force
        ? nil : try ScoredFile.finished(output: job.output, settings: job.settings)
      if let finished { done.add(finished) } else { open.append(job) }
    }
    return (done, open)
  }

  /// What was scored of an input in all, and how much of it before.
  private func score(_ job: Job) throws -> (ScoringSummary, before: Int) {
    try FileManager.default.createDirectory(
      atPath: URL(fileURLWithPath: job.output).deletingLastPathComponent().path,
      withIntermediateDirectories: true)
    let file = try ScoredFile(
      input: job.input, output: job.output, settings: job.settings, force: command.common.force)
    // Another process may have finished it since this one looked.
    if !command.common.force,
      let finished = try ScoredFile.finished(output: job.output, settings: job.settings)
    {
      file.discard()
      return (finished, finished.scored)
    }
    if file.begun.position != .start {
      terminal.say("\(job.input): goes on after line \(file.begun.position.lines)")
    }
    let input = try LineReader(path: job.input, from: file.begun.position)
    scorer.begin(after: file.begun.position, summary: file.begun.summary)
    do {
      try command.score(
        input, scorer, into: file, terminal, kept: { _ = try file.keep($0, scorer.position) })
    } catch {
      if (try? file.keep(scorer.summary, scorer.position, now: true)) == true {
        command.sayKept(job.input, lines: scorer.position.lines, terminal)
      }
      throw error
    }
    try file.commit(scorer.summary)
    return (scorer.summary, file.begun.summary.scored)
  }

  /// Every input with the name of its output: its own, or within a folder that is given its path there.
  private func jobs(into folder: String) throws -> [Job] {
    try command.refuseMissing()
    let names = try command.files.flatMap { path -> [(input: String, name: String)] in
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      guard isFolder.boolValue else { return [(path, URL(fileURLWithPath: path).lastPathComponent)] }
      let found = Self.lines(in: path, without: folder)
      if found.isEmpty {
        throw FormatError.malformed(
          place: path, reason: "no .jsonl, .jsonl.gz or .jsonl.zst is in this folder")
      }
      return found.map { ("\(path)/\($0)", $0) }
    }
    let valuator = try FileHash.sha256(path: command.valuator + "/alinfik.json")
    let configuration = try command.scoringConfiguration()
    var places: [String: String] = [:]
    return try names.map { input, name in
      let output = "\(folder)/\(name)"
      if let other = places.updateValue(input, forKey: output) {
        throw ValidationError(
          "\(output): both \(other) and \(input) would be written under this name; give the folder they are in"
        )
      }
      try OutputFile.refuseInputs(output, command.files)
      return (
        input, output,
        try ScoredFile.settings(
          input: input, valuator: valuator, configuration: configuration)
      )
    }
  }

  /// Paths of JSON Lines within a folder, in the order of their bytes; what scores are written to may lie in it.
  private static func lines(in folder: String, without output: String) -> [String] {
    func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
    let written = real(output) + "/"
    let found = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return found.filter { name in
      var isFolder: ObjCBool = false
      let path = "\(folder)/\(name)"
      return [".jsonl", ".jsonl.gz", ".jsonl.zst"].contains { name.hasSuffix($0) }
        && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
        && !real(path).hasPrefix(written)
    }
    .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }
}
