import LanguageModels
import LinFiK
import Records
import TensorKernels
import TestSupport

/// A golden model, and its samples as a run has them; of an adapter its matrices are watched.
struct InfluenceSetting {
  let golden: GoldenModel
  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let samples: [TokenizedSample]
  var targets: [TokenizedSample] { golden.targets.map { samples[$0] } }

  init(_ name: String, precision: Precision = .f32) throws {
    golden = try GoldenModel(name)
    model = try ModelLoader.load(path: golden.modelPath, precision: precision)
    watched = try WatchedLayers(of: model, matching: model.adapterLayers.isEmpty ? "*" : "adapter")
    samples = golden.samples.map {
      TokenizedSample(tokens: $0.tokens, scored: $0.isScored, truncated: false)
    }
  }

  func rows(_ measure: some InfluenceMeasure, workers: Int = 2, batchTokens: Int = 16) throws
    -> [InfluenceRow]
  {
    try BatchPlan(samples, batchTokens: batchTokens).map(workers: workers) { _, batch, workspace in
      measure.measure(batch, workspace: workspace)
    }
  }
}
