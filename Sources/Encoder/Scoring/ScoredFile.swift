import Formats
import Foundation

/// The scores of one input in a folder of many: written beside their name, gone on with after a break, and marked when whole.
///
/// `NAME.partial` has what was scored so far and `NAME.progress.json` how much of it is certain; both go when `NAME` is whole,
/// beside which `NAME.done.json` then says of what: the settings, counts, the lines that were rejected, and the SHA-256 of input and
/// output. A run with the same settings passes over what is done, in whatever order and on whichever machine.
///
/// A compressed stream cannot be gone on with in its middle without a seam, which depends on the clock and at which some readers
/// stop. So `NAME.partial` is plain, and what is compressed grows beside it, from its beginning in every run.
package final class ScoredFile: LineOutput {
  package let input: String
  package let output: String
  /// What is done already, with which scoring goes on.
  package let begun: (summary: ScoringSummary, position: LineReader.Position)
  /// What an earlier run had scored was of an input that has changed since, and is given up.
  package let isAnew: Bool
  private let settings: JSONValue
  private let force: Bool
  private let inputModified: String
  private let file: AppendedFile
  /// Where the output's name asks for it.
  private let compressed: (file: OutputFile, stream: CompressedOutput)?
  private var lastKept = ContinuousClock.now
  /// A write has failed in its middle.
  private var isBroken = false

  /// Time between two notes of how far it is.
  private static let keptEvery = Duration.seconds(5)

  private static let inputBytes: ByteString = "input_bytes"
  private static let onError: ByteString = "on_error"

  private static func partial(_ output: String) -> String { output + ".partial" }
  private static func progress(_ output: String) -> String { output + ".progress.json" }

  /// What decides the bytes of the output, and which input it is of.
  package static func settings(
    input: String, valuator: String, precision: ValuatorPrecision, configuration: ScoringConfiguration
  ) throws -> JSONValue {
    let version: [(key: ByteString, value: JSONValue)] = [
      ("alinfik_version", JSONValue(alinfikVersion)), ("valuator_sha256", JSONValue(valuator)),
      ("precision", JSONValue(precision.rawValue)),
      (inputBytes, JSONValue(try FileStamp(path: input).bytes)),
    ]
    return .object(version + configuration.description)
  }

  /// When the file was last written, to the nanosecond.
  private static func modified(_ path: String) throws -> String {
    let stamp = try FileStamp(path: path)
    return "\(stamp.seconds).\(stamp.nanoseconds)"
  }

  /// The settings that must be those of an earlier run. Where that met no bad line, what it would have done with one decides nothing.
  private static func deciding(
    _ settings: JSONValue, earlier: JSONValue
  ) -> [(key: ByteString, value: JSONValue)] {
    let hadNoBadLine = earlier["bad_lines"]?.int == 0
    return (settings.members ?? []).filter { $0.key != inputBytes && !($0.key == onError && hadNoBadLine) }
  }

  /// Gives up a file in which nothing is written.
  package func discard() {
    if file.size == 0 { file.remove() }
  }

  /// What was scored, where the output is there and marked as whole; nil where it is not. Throws where it was made with other
  /// settings or stands there without a mark, and `changed` where the input is no longer what it was made of.
  package static func finished(input: String, output: String, settings: JSONValue) throws -> ScoringSummary? {
    guard FileManager.default.fileExists(atPath: output) else { return nil }
    guard let mark = try ScoreMark.read(beside: output) else { throw FormatError.exists(path: output) }
    for (key, value) in deciding(settings, earlier: mark.json) where mark.settings[key] != value {
      func text(_ value: JSONValue?) -> String {
        String(decoding: (value ?? .null).serialized(), as: UTF8.self)
      }
      throw FormatError.scoredOtherwise(
        path: output, setting: key.string, then: text(mark.settings[key]), now: text(value))
    }
    guard let summary = ScoringSummary(json: mark.json),
      mark.outputBytes == (try FileStamp(path: output).bytes)
    else {
      throw FormatError.malformed(
        place: mark.path, reason: "it does not belong to \(output); --force scores it again")
    }
    // A copy of an input has another time and the same bytes.
    guard mark.settings[inputBytes] == settings[inputBytes],
      try mark.json["input_modified"]?.string == modified(input)
        || mark.json["input_sha256"]?.string == FileHash.sha256(path: input)
    else {
      throw FormatError.changed(
        path: input, reason: "it has changed since \(output) was made of it; --force scores it again")
    }
    return summary
  }

  /// Begins an output, or goes on with one that was broken off. By force it begins anew.
  package init(input: String, output: String, settings: JSONValue, force: Bool) throws {
    (self.input, self.output, self.settings, self.force) = (input, output, settings, force)
    let modified = try Self.modified(input)
    inputModified = modified
    file = try AppendedFile(path: Self.partial(output))
    let path = Self.progress(output)
    // Not `nil`, which would be JSON's null.
    let kept: JSONValue? =
      !force && FileManager.default.fileExists(atPath: path) ? try JSONValue.read(path: path) : .none
    isAnew =
      kept.map {
        $0["input_modified"]?.string != modified
          || $0["settings"]?[Self.inputBytes] != settings[Self.inputBytes]
      } ?? false
    var begun = (summary: ScoringSummary(), position: LineReader.Position.start)
    var bytes = 0
    if let kept, !isAnew {
      (begun, bytes) = try Self.begun(kept, settings, path: path, output: output, most: file.size)
    }
    try file.cut(to: bytes)
    self.begun = begun
    let whole = Compressor.compresses(output) ? try OutputFile(path: output, force: true) : nil
    compressed = whole.map { ($0, CompressedOutput($0, as: output)) }
    if let stream = compressed?.stream { try file.read(stream.write) }
    if force { try? FileManager.default.removeItem(atPath: path) }
  }

  /// What an earlier run had scored, and the bytes of it.
  private static func begun(
    _ kept: JSONValue, _ settings: JSONValue, path: String, output: String, most: Int
  ) throws -> ((summary: ScoringSummary, position: LineReader.Position), bytes: Int) {
    try refuseOtherConfiguration(
      .object(deciding(settings, earlier: kept)),
      than: .object(deciding(kept["settings"] ?? .null, earlier: kept)), path: path)
    guard let summary = ScoringSummary(json: kept), let offset = kept["input_offset"]?.int,
      let lines = kept["input_lines"]?.int, let written = kept["output_bytes"]?.int, written <= most
    else {
      throw FormatError.malformed(
        place: path, reason: "it does not belong to \(partial(output)); --force begins anew")
    }
    return ((summary, LineReader.Position(offset: offset, lines: lines)), written)
  }

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    // Until both have it, what is in the file is not what has been noted as scored.
    isBroken = true
    try file.write(bytes)
    try compressed?.stream.write(bytes)
    isBroken = false
  }

  /// Nobody waits for a file: it is handed on by `keep`.
  package func flush() throws(FormatError) {}

  /// Notes how far it is, where the last note is some seconds old or `now` is asked for; says whether it did.
  @discardableResult
  package func keep(
    _ summary: ScoringSummary, _ position: LineReader.Position, now: Bool = false
  ) throws -> Bool {
    guard !isBroken, !file.isBroken, now || lastKept.duration(to: .now) >= Self.keptEvery else {
      return false
    }
    try file.synchronize()
    let place: [(key: ByteString, value: JSONValue)] = [
      ("settings", settings), ("input_modified", JSONValue(inputModified)),
      ("input_offset", JSONValue(position.offset)),
      ("input_lines", JSONValue(position.lines)), ("output_bytes", JSONValue(file.size)),
    ]
    try OutputFile.write(
      JSONValue.object(place + summary.json).serialized(pretty: true), to: Self.progress(output), force: true)
    lastKept = .now
    return true
  }

  /// Gives the output its name and marks it. Throws where the input is no longer what was read.
  package func commit(_ summary: ScoringSummary) throws {
    if !force { try OutputFile.refuseExisting(output, force: false) }
    guard try FileStamp(path: input).bytes == settings[Self.inputBytes]?.int,
      try Self.modified(input) == inputModified
    else {
      // What was scored is of neither.
      try? FileManager.default.removeItem(atPath: Self.progress(output))
      throw FormatError.changed(
        path: input, reason: "it changed while it was read; score it again when nobody writes it")
    }
    try file.synchronize()
    try compressed?.stream.end()
    try compressed?.file.flush()
    let written = compressed?.file.temporaryPath ?? Self.partial(output)
    let whole: [(key: ByteString, value: JSONValue)] = [
      ("settings", settings), ("input_modified", JSONValue(inputModified)),
      ("input_sha256", JSONValue(try FileHash.sha256(path: input))),
      ("output_bytes", JSONValue(try FileStamp(path: written).bytes)),
      ("output_sha256", JSONValue(try FileHash.sha256(path: written))),
    ]
    // What is replaced must not stand under the new mark for a moment.
    if force { try? FileManager.default.removeItem(atPath: output) }
    // The mark first: without its output it counts for nothing.
    try OutputFile.write(
      JSONValue.object(whole + summary.json).serialized(pretty: true) + [0x0A],
      to: ScoreMark.path(beside: output),
      force: true)
    if let compressed {
      try compressed.file.commit()
      file.remove()
    } else {
      try file.commit(as: output, force: force)
    }
    try? FileManager.default.removeItem(atPath: Self.progress(output))
  }
}
