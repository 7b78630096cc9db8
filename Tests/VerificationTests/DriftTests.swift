import Encoder
import Formats
import Foundation
import Records
import TensorKernels
import TestSupport
import Testing
import Verification

@Suite struct DriftTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func records(_ count: Int, seed: UInt64) -> [Record] {
    madeTexts(count, seed: seed).map { .text(ByteString($0)) }
  }

  private func drift(_ valuator: Valuator, _ incoming: [Record]) throws -> Drift {
    try Drift(valuator, TextMeasures(of: incoming, by: valuator, workers: 1))
  }

  /// With nothing changed one run in twenty may say that something is; Holm's correction of tests that depend on each other
  /// says so less often.
  @Test func falseAlarmsAreAsRareAsStated() throws {
    let (learned, runs) = (records(100, seed: 1), 200)
    var alarms = 0
    var smallest = 1.0
    for seed in 0..<UInt64(runs) {
      let pool = records(260, seed: seed + 2)
      let valuator = try letterValuator(in: folder, learned: learned, kept: Array(pool[..<140]))
      let drift = try drift(valuator, Array(pool[140...]))
      #expect(drift.tests.count == 10)
      alarms += drift.drifted(over: 0).isEmpty ? 0 : 1
      smallest = min(smallest, drift.tests.map(\.probability).min() ?? 1)
    }
    // 0.05 x 200 = 10, deviation 3.1.
    #expect(alarms <= 20, "\(alarms) of \(runs)")
    #expect(smallest < 0.3, "corrected so much that nothing is ever found")
  }

  @Test func textsOfAnotherKindAreFound() throws {
    let valuator = try letterValuator(
      in: folder, learned: records(100, seed: 1), kept: records(140, seed: 2))
    let others = madeTexts(120, seed: 3, words: ["0x1f", "(42);", "for", "i++", "char"]).map {
      Record.text(ByteString($0))
    }
    let drift = try drift(valuator, others)
    #expect(!drift.drifted(over: 0.2).isEmpty)
    let largest = try #require(drift.drifted.first)
    #expect(drift.verdict.hasPrefix("large drift: \(largest.name) "), "\(drift.verdict)")
    #expect(
      drift.json["has_drifted"]?.bool == true && drift.json["drifted"]?.array?.isEmpty == false
        && drift.json["size"]?.string == "large")
    #expect(drift.json["tests"]?[ByteString(largest.name)]?["drifted"]?.bool == true)
    let same = try self.drift(valuator, records(120, seed: 2))
    #expect(same.drifted.isEmpty && same.verdict.hasPrefix("no drift: "), "\(same.verdict)")
    #expect(same.json["has_drifted"]?.bool == false && same.json["size"]?.isNull == true)
    #expect(drift.rowsThen == 140 && drift.rowsNow == 120 && !drift.isOfLearnedRows)
    #expect(drift.drifted(over: 1000).isEmpty)
    // Longer ones, of the same words.
    let long = records(240, seed: 4).map { $0.text.bytes }
    let joined = stride(from: 0, to: 240, by: 2).map {
      Record.text(ByteString(long[$0] + [0x20] + long[$0 + 1]))
    }
    #expect(try self.drift(valuator, joined).drifted(over: 0.2).contains { $0.name == "tokens" })
  }

  @Test(arguments: [
    (0, "small"), (0.0999, "small"), (0.1, "moderate"), (0.25, "moderate"), (0.2501, "large"),
  ])
  func aShiftHasASize(_ index: Double, _ size: String) {
    #expect(Drift.Size(stabilityIndex: index).rawValue == size)
  }

  @Test func distributionsAreCarriedAndHoldNoRows() throws {
    let valuator = try letterValuator(
      in: folder, learned: records(100, seed: 1), kept: records(140, seed: 2))
    let directory = folder.path("valuator")
    try valuator.save(to: directory)
    let loaded = try Valuator.load(directory: directory)
    #expect(loaded.distributions != nil && loaded.distributions == valuator.distributions)
    let lists = try #require(loaded.distributions)
    #expect(lists.points.count == TrainingDistributions.directions)
    #expect(
      ([lists.outputs, lists.tokens] + lists.points).allSatisfy { $0 == $0.sorted() && $0.count == 140 })
    let incoming = records(120, seed: 3)
    #expect(try drift(loaded, incoming).tests == drift(valuator, incoming).tests)
    #expect(
      TrainingDistributions(outputs: Array(repeating: 1, count: 19), tokens: (0..<19).map { $0 }, points: nil)
        == nil)
    let many = TrainingDistributions(
      outputs: (0..<5000).map(Double.init), tokens: Array(repeating: 3, count: 5000), points: nil)
    #expect(many?.outputs.count == 2000 && many?.outputs.last == 4997)
  }

  @Test func anOldValuatorIsComparedByWhatItHas() throws {
    let whole = try letterValuator(
      in: folder, learned: records(100, seed: 1), kept: records(140, seed: 2))
    let incoming = records(120, seed: 3)
    let old = Valuator(
      model: whole.model, tokenizer: whole.encoding.tokenizer, card: whole.card, rows: whole.rows)
    let drift = try drift(old, incoming)
    #expect(drift.isOfLearnedRows && drift.tests.count == 8 && drift.rowsThen == 100)
    let bare = Valuator(model: whole.model, tokenizer: whole.encoding.tokenizer, card: whole.card)
    #expect(throws: VerificationError.self) { try self.drift(bare, incoming) }
  }

  @Test func brokenDistributionsAreRefused() throws {
    let valuator = try letterValuator(
      in: folder, learned: records(100, seed: 1), kept: records(140, seed: 2))
    let directory = folder.path("valuator")
    for (outputs, said) in [
      ([Float](repeating: 1, count: 3), "3 rows"), ((0..<140).map { -Float($0) }, "ascending"),
    ] {
      try valuator.save(to: directory, force: true)
      let path = directory + "/distributions.safetensors"
      try SafetensorsWriter.write(
        to: path,
        tensors: [("outputs", [outputs.count], outputs), ("tokens", [outputs.count], outputs.sorted())],
        force: true)
      let card = try JSONValue.read(path: directory + "/alinfik.json").members!.map { key, value in
        key == "files"
          ? (
            key: key,
            value: JSONValue.object(
              try value.members!.map {
                $0.key == "distributions.safetensors"
                  ? ($0.key, JSONValue(try FileHash.sha256(path: path))) : $0
              })
          ) : (key: key, value: value)
      }
      try OutputFile.write(JSONValue.object(card).serialized(), to: directory + "/alinfik.json", force: true)
      let error = #expect(throws: EncoderError.self) { try Valuator.load(directory: directory) }
      #expect("\(try #require(error))".contains(said))
    }
  }
}
