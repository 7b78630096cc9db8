import Encoder
import Formats
import Foundation
import Records
import TensorKernels
import TestSupport
import Testing

@Suite struct LabelledRowsTests {
  /// Three heaps of points in a hundred dimensions.
  private func embeddings(_ count: Int, seed: UInt64) -> MatrixView {
    var generator = SeededGenerator(seed: seed)
    let result = Matrix(rows: count, columns: 100)
    for row in 0..<count {
      for column in 0..<100 {
        result[row, column] = Float(0.3 * generator.normal()) + (column % 3 == row % 3 ? 2 : 0) + 5
      }
    }
    return result.view
  }

  private func rows(_ count: Int) -> [LabelledRows.Row] {
    (0..<count).map { .init(id: "r\($0)", source: "heap \($0 % 3)", label: Double($0), text: nil) }
  }

  @Test func neighboursAreOfTheSameHeap() throws {
    let known = try #require(LabelledRows(rows: rows(90), embeddings: embeddings(90, seed: 1), seed: 0))
    let found = known.nearest(to: known.points(of: embeddings(30, seed: 2)), count: 5)
    for (text, neighbours) in found.enumerated() {
      #expect(neighbours.count == 5 && neighbours.allSatisfy { $0.row % 3 == text % 3 })
      let likeness = neighbours.map(\.likeness)
      #expect(likeness == likeness.sorted(by: >) && likeness[0] <= 1.000001)
    }
    let own = known.nearest(to: known.points(of: embeddings(90, seed: 1)), count: 1)
    #expect(own.enumerated().allSatisfy { $1[0].row == $0 && $1[0].likeness > 0.9999 })
    #expect(known.shareBelow(45) == 0.5)
  }

  @Test func embeddingsThatDoNotVaryGiveNone() {
    let constant = Matrix(rows: 10, columns: 4)
    constant.fill(3)
    #expect(LabelledRows(rows: rows(10), embeddings: constant.view, seed: 0) == nil)
  }

  @Test func aValuatorCarriesThem() throws {
    let folder = try TemporaryFolder()
    let plain = try tinyValuator(in: folder)
    let records = ["a b c", "d e f", "x y z", "a b d"].map { Record.text($0) }
    #expect(throws: EncoderError.self) { try plain.explanations(of: records, count: 2, workers: 1) }
    let texts = try plain.encoding.encodeAll(records, workers: 1)
    let embeddings = plain.model.embeddings(
      of: try plain.model.features(texts, workers: 1, workspaces: EncoderWorkspaces(1)))
    let labels = [10.0, 20, 30, 40]
    let known = LabelledRows(
      rows: labels.enumerated().map { .init(id: "r\($0)", source: "s", label: $1, text: "text \($0)") },
      embeddings: embeddings, seed: 0)
    let valuator = Valuator(
      model: plain.model, tokenizer: plain.encoding.tokenizer, card: plain.card, rows: known)
    let directory = folder.path + "/explained"
    try valuator.save(to: directory)
    let loaded = try Valuator.load(directory: directory)
    #expect(loaded.rows?.rows == known?.rows)
    for (row, explanation) in try loaded.explanations(of: records, count: 2, workers: 2).enumerated() {
      let score = explanation.score
      #expect(explanation.neighbours[0].row == row && explanation.neighbours[0].likeness > 0.9999)
      #expect(explanation.shareBelow == Double(labels.count { $0 < score.value }) / 4)
      let interval = try #require(explanation.interval)
      #expect(abs((interval.low + interval.high) / 2 - score.value) < 1e-9 && interval.low < interval.high)
      let (first, second) = (explanation.neighbours[0], explanation.neighbours[1])
      let weight = max(0, second.likeness)
      let mean =
        (first.likeness * labels[first.row] + weight * labels[second.row]) / (first.likeness + weight)
      #expect(abs(try #require(explanation.neighboursLabel) - mean) < 1e-9)
    }
    // Points of another encoder do not fit, whatever the hashes say.
    let narrow = Matrix(rows: 4, columns: 3, values: (0..<12).map { Float($0 * $0) })
    let other = LabelledRows(
      rows: labels.map { .init(id: "\($0)", source: "s", label: $0, text: nil) }, embeddings: narrow.view,
      seed: 0)
    let strange = folder.path + "/strange"
    try Valuator(
      model: plain.model, tokenizer: plain.encoding.tokenizer, card: plain.card, rows: other
    ).save(to: strange)
    #expect(throws: FormatError.self) { try Valuator.load(directory: strange) }
    try Data("{}\n".utf8).write(to: URL(fileURLWithPath: directory + "/rows.jsonl"))
    #expect(throws: EncoderError.self) { try Valuator.load(directory: directory) }
  }
}
