import ArgumentParser
import Encoder
import Formats
import Foundation
import Records

struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Give a valuator another precision, with which it scores wherever it is taken.",
    discussion: """
      Examples:
        alinfik quantize valuator --precision bf16 --check sample.jsonl --output valuator-bf16

      The precision is how the network multiplies; weights stay in the files as they are. bf16 and int8 are several times as fast
      as f32 where the processor has instructions for them (AMX, AVX-512 BF16 and VNNI), and give the same scores elsewhere: bf16
      at the speed of f32, int8 some three times slower.
      Nothing is measured anew: the map to label units, the intervals and the test metrics stay those of the precision that the
      valuator was trained in, for the labelled rows are not there to make others. `alinfik train --precision` makes them.
      --check says on some records how near the scores stay to those of f32, in label units and by rank.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String

  @Option(help: "f32, bf16 or, for a text encoder, int8.")
  var precision: ValuatorPrecision

  @Option(name: .shortAndLong, help: "The directory to write.", completion: .directory)
  var output: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Records on which both precisions are compared, as JSON Lines.", valueName: "file"),
    completion: .file())
  var check: [String] = []

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    try OutputFile.refuseInputs(output, [valuator] + check)
    if !common.dryRun { try Valuator.refuseExisting(output, force: common.force) }
    var quantized = try Valuator.load(directory: valuator, precision: precision)
    let size = try Valuator.bytes(directory: valuator)
    var summary: [(key: ByteString, value: JSONValue)] = [
      ("output", JSONValue(output)), ("precision_before", JSONValue(quantized.card.precision.rawValue)),
      ("precision", JSONValue(precision.rawValue)), ("products", JSONValue(precision.path)),
      ("bytes", JSONValue(size)),
    ]
    let words = "\(quantized.card.precision.rawValue) to \(precision.rawValue), products: \(precision.path)"
    quantized.card.precision = precision
    if let slowness = precision.slowness { terminal.warn(slowness) }
    if common.dryRun {
      let plan = ScoringPlan(valuator: quantized, configuration: ScoringConfiguration(), paths: check)
      summary += [
        ("check_files", JSONValue(check.count)), ("check_bytes", plan.bytes.map { JSONValue($0) } ?? .null),
      ]
      let disk = String(format: "%.1f MB to write", Double(size) / 1e6)
      return common.json
        ? printObject(summary) : print("\(words); \(disk), \(check.count) files to compare on")
    }
    terminal.say(words)
    if !check.isEmpty { summary += try agreement(of: quantized, terminal) }
    try quantized.save(to: output, log: try Valuator.trainingLog(directory: valuator), force: common.force)
    terminal.say("\(output): written")
    if common.json { printObject(summary) }
  }

  private func printObject(_ members: [(key: ByteString, value: JSONValue)]) {
    print(String(decoding: JSONValue.object(members).serialized(), as: UTF8.self))
  }

  /// How near its scores of the records are to those in f32.
  private func agreement(of quantized: Valuator, _ terminal: Terminal) throws -> [(
    key: ByteString, value: JSONValue
  )] {
    let records = try RecordReader.readAll(check, options: fields.recordOptions).records
    guard !records.isEmpty else {
      throw EncoderError.malformed(
        "--check \(check.joined(separator: " "))", "there is no record on which precisions could be compared")
    }
    let agreement = try PrecisionAgreement(
      of: quantized, with: Valuator.load(directory: valuator, precision: .f32), on: records,
      workers: common.threads)
    terminal.say(agreement.words(unit: quantized.card.scoreUnit))
    return agreement.json + [("score_unit", JSONValue(quantized.card.scoreUnit))]
  }
}

extension PrecisionAgreement {
  fileprivate func words(unit: String) -> String {
    func text(_ number: Double?) -> String { number.map { String(format: "%.5f", $0) } ?? "unknown" }
    return """
      \(count) records: scores differ from those in f32 by \(String(format: "%.3g", meanDifference)) on average and \
      \(String(format: "%.3g", largestDifference)) at most, \(String(format: "%.2g", 100 * shareOfRange)) % of their range; \
      Spearman with f32 \(text(spearman)), within sources \(text(spearmanWithinSource)), recall of its best 1 % \(text(recall))
      the unit of scores: \(unit.printable)
      """
  }
}

extension ValuatorPrecision: ExpressibleByArgument {}
