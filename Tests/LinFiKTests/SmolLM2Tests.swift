import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import TestSupport
import Testing

private let environment = ProcessInfo.processInfo.environment
private let isAvailable =
  environment["ALINFIK_SMOLLM2"] != nil && environment["ALINFIK_SMOLLM2_REFERENCE"] != nil

/// SmolLM2 from GGUF against transformers on the same dequantised weights; `make check-peers` names both files:
/// `ALINFIK_SMOLLM2` (the model) and `ALINFIK_SMOLLM2_REFERENCE` (what scripts/peers/smollm2.py found).
@Suite(.enabled(if: isAvailable, "wants ALINFIK_SMOLLM2 and ALINFIK_SMOLLM2_REFERENCE"))
struct SmolLM2Tests {
  let model: any CausalLanguageModel
  let reference: JSONValue

  init() throws {
    model = try ModelLoader.load(path: environment["ALINFIK_SMOLLM2"]!)
    reference = try JSONValue.read(path: environment["ALINFIK_SMOLLM2_REFERENCE"]!)
  }

  private func sequences(_ key: ByteString) throws -> [TokenizedSample] {
    try #require(reference[key]?.array).map { row in
      TokenizedSample(
        tokens: row["ids"]!.array!.map { Int32($0.int!) }, scored: row["scored"]!.array!.map { $0.bool! })
    }
  }

  private func numbers(_ key: ByteString) throws -> [Double] {
    try #require(reference[key]?.array).map { $0.double! }
  }

  @Test func lossesLabelsAndNormsEqualTransformers() throws {
    let watched = try WatchedLayers(of: model)
    let target = try MeanGradient(
      of: sequences("targets"), model: model, watched: watched, workers: 2, batchTokens: 256)
    let measure = ExactInfluence(
      model: model, watched: watched, target: target, kind: .dot, gradientNorm: true)
    let rows = try BatchPlan(sequences("samples"), batchTokens: 256).map(workers: 2) { _, batch, workspace in
      measure.measure(batch, workspace: workspace)
    }
    let losses = try numbers("loss")
    let norms = try numbers("gradient_norm")
    let labels = try #require(reference["labels_per_target"]?.array).map { row in
      let values = row.array!.map { $0.double! }
      return values.reduce(0, +) / Double(values.count)
    }
    try #require(rows.count == losses.count)
    for (index, row) in rows.enumerated() {
      let lossError = abs(row.loss - losses[index])
      let labelError = abs(row.label - labels[index]) / abs(labels[index])
      let normError = abs(row.gradientNorm - norms[index]) / norms[index]
      #expect(lossError < 1e-3, "row \(index): loss \(row.loss), transformers \(losses[index])")
      #expect(labelError < 1e-4, "row \(index): dot \(row.label), transformers \(labels[index])")
      #expect(normError < 1e-4, "row \(index): norm \(row.gradientNorm), transformers \(norms[index])")
    }
  }

  @Test func capitalOfFranceIsParis() throws {
    let greedy = try #require(reference["greedy"])
    let prompt = greedy["prompt"]!.array!.map { Int32($0.int!) }
    let expected = greedy["continuation"]!.array!.map { Int32($0.int!) }
    #expect(greedy["text"]!.string!.contains("Paris"))
    #expect(model.greedyContinuation(of: prompt, count: expected.count) == expected)
  }
}
