import Formats
import TensorKernels
import TestSupport
import Testing

import LanguageModels

/// Loss and per-sample gradients against PyTorch in float64, and against themselves.
@Suite struct LlamaGradientTests {
  /// Forms each sample's whole gradient: what labelling never does.
  final class Reconstruction: GradientObserver {
    let model: any CausalLanguageModel
    private(set) var gradients: [[String: Matrix]]

    init(model: any CausalLanguageModel, samples: Int) {
      self.model = model
      gradients = Array(repeating: [:], count: samples)
    }

    func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
      for sample in 0..<batch.count {
        let rows = batch.rows(of: sample)
        let gradient = Matrix(rows: outputGradient.columns, columns: input.columns)
        gemm(outputGradient.rows(rows), .yes, input.rows(rows), into: gradient)
        gradients[sample][model.linearLayers[layer].name] = gradient
      }
    }
  }

  @Test(arguments: GoldenLlama.random) func gradientsOfRandomModelsEqualPyTorch(_ name: String) throws {
    try compare(GoldenLlama(name))
  }

  @Test(.enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"))
  func gradientsOfStories260kEqualPyTorch() throws {
    try compare(GoldenLlama("stories260k"))
  }

  private func compare(_ golden: GoldenLlama) throws {
    let model = try ModelLoader.load(path: golden.modelPath)
    let batch = TokenBatch(golden.samples.map { ($0.tokens, $0.isScored) })
    let observer = Reconstruction(model: model, samples: batch.count)
    let losses = model.losses(of: batch, workspace: Workspace(), observer: observer)
    for (sample, loss) in zip(golden.samples, losses) {
      #expect(
        abs(loss - sample.loss) < 1e-5, "\(golden.name) \(sample.id): loss \(loss), PyTorch \(sample.loss)")
    }
    let file = try SafetensorsFile(path: golden.gradientsPath)
    let weights = try SafetensorsWeights(path: golden.gradientsPath)
    #expect(!file.tensors.isEmpty)
    for tensor in file.tensors {
      let parts = tensor.name.split(separator: "/").map(String.init)
      let index = try #require(golden.samples.firstIndex { $0.id == parts[0] })
      let ours = try #require(observer.gradients[index][parts[1]])
      let theirs = try weights.matrix(tensor.name, rows: ours.rows, columns: ours.columns)
      let error = relativeError(ours.view, theirs)
      #expect(error < 1e-4, "\(golden.name) \(tensor.name): relative error \(error)")
    }
  }

  @Test func rowInABatchEqualsTheRowAlone() throws {
    let golden = try GoldenLlama("untied")
    let model = try ModelLoader.load(path: golden.modelPath)
    let together = Reconstruction(model: model, samples: golden.samples.count)
    let losses = model.losses(
      of: TokenBatch(golden.samples.map { ($0.tokens, $0.isScored) }), workspace: Workspace(),
      observer: together)
    for (index, sample) in golden.samples.enumerated() {
      let alone = Reconstruction(model: model, samples: 1)
      let loss = model.losses(
        of: TokenBatch([(sample.tokens, sample.isScored)]), workspace: Workspace(), observer: alone)
      #expect(abs(loss[0] - losses[index]) < 1e-5)
      for (name, gradient) in alone.gradients[0] {
        #expect(
          relativeError(together.gradients[index][name]!.view, gradient.view) < 1e-5, "\(sample.id) \(name)")
      }
    }
  }

  /// Steps one weight up and down; the loss must follow the gradient's entry.
  @Test(arguments: GoldenLlama.random) func gradientsEqualFiniteDifferences(_ name: String) throws {
    let golden = try GoldenLlama(name)
    let model = try ModelLoader.load(path: golden.modelPath)
    let sample = golden.samples[1]
    let batch = TokenBatch([(sample.tokens, sample.isScored)])
    let observer = Reconstruction(model: model, samples: 1)
    _ = model.losses(of: batch, workspace: Workspace(), observer: observer)
    let step: Float = 1e-2
    for (index, layer) in model.linearLayers.enumerated() {
      let gradient = try #require(observer.gradients[0][layer.name])
      let (row, column) = largestEntry(gradient)
      let losses = [step, -step].map { change in
        let changed = Matrix(rows: layer.outputWidth, columns: layer.inputWidth)
        changed.copy(model.linearWeight(index).f32)
        changed[row, column] += change
        var weights = model.linearLayers.indices.map { model.linearWeight($0) }
        weights[index] = .f32(changed.view)
        return model.replacingLinearWeights(weights).losses(of: batch, workspace: Workspace())[0]
      }
      let difference = (losses[0] - losses[1]) / Double(2 * step)
      let entry = Double(gradient[row, column])
      #expect(
        abs(difference - entry) < 2e-2 * abs(entry) + 1e-4, "\(layer.name): \(difference) against \(entry)")
    }
  }

  private func largestEntry(_ matrix: Matrix) -> (row: Int, column: Int) {
    let values = matrix.view.values
    let index = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
    return (index / matrix.columns, index % matrix.columns)
  }

  @Test func lossWithoutBackwardIsTheSame() throws {
    let golden = try GoldenLlama("tied")
    let model = try ModelLoader.load(path: golden.modelPath)
    let batch = TokenBatch(golden.samples.map { ($0.tokens, $0.isScored) })
    let observer = Reconstruction(model: model, samples: batch.count)
    #expect(
      model.losses(of: batch, workspace: Workspace())
        == model.losses(of: batch, workspace: Workspace(), observer: observer))
  }
}

/// `|a - b| / max(|b|, 1e-6)`
private func relativeError(_ a: MatrixView, _ b: MatrixView) -> Double {
  let difference = Matrix(rows: a.rows, columns: a.columns)
  difference.copy(a)
  add(b, times: -1, to: difference)
  let norm = dot(b, b).squareRoot()
  // A gradient that is zero by nature (attention over one position) has nothing to be relative to.
  return dot(difference.view, difference.view).squareRoot() / max(norm, 1e-6)
}
