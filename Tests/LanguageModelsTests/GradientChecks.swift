import Formats
import TensorKernels
import TestSupport
import Testing

import LanguageModels

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

/// The checks every family's backward pass goes through, on a golden model.
struct GradientChecks {
  private let golden: GoldenModel
  private let model: any CausalLanguageModel

  init(_ name: String, precision: Precision = .f32) throws {
    golden = try GoldenModel(name)
    model = try ModelLoader.load(path: golden.modelPath, precision: precision)
  }

  private var batch: TokenBatch { TokenBatch(golden.samples.map { ($0.tokens, $0.isScored) }) }

  private func reconstruct(_ batch: TokenBatch) -> (losses: [Double], gradients: [[String: Matrix]]) {
    let observer = Reconstruction(model: model, samples: batch.count)
    let losses = model.losses(of: batch, workspace: Workspace(), observer: observer)
    return (losses, observer.gradients)
  }

  /// Losses and the stored per-sample gradients against PyTorch in float64.
  func gradientsEqualPyTorch() throws {
    let (losses, gradients) = reconstruct(batch)
    for (sample, loss) in zip(golden.samples, losses) {
      #expect(
        abs(loss - sample.loss) < 1e-5, "\(golden.name) \(sample.id): loss \(loss), PyTorch \(sample.loss)")
    }
    let file = try SafetensorsFile(path: golden.gradientsPath)
    let weights = try SafetensorsWeights(path: golden.gradientsPath)
    #expect(!file.tensors.isEmpty)
    let watched = model.adapterLayers.isEmpty ? 0..<model.linearLayers.count : model.adapterLayers
    #expect(golden.watched.sorted() == model.linearLayers[watched].map(\.name).sorted())
    var worst = 0.0
    for tensor in file.tensors {
      let parts = tensor.name.split(separator: "/").map(String.init)
      let index = try #require(golden.samples.firstIndex { $0.id == parts[0] })
      let ours = try #require(gradients[index][parts[1]])
      let theirs = try weights.matrix(tensor.name, rows: ours.rows, columns: ours.columns)
      let error = relativeError(ours.view, theirs)
      #expect(error < 1e-4, "\(golden.name) \(tensor.name): relative error \(error)")
      worst = max(worst, error)
    }
    print("\(golden.name): worst relative error of a gradient against PyTorch \(worst)")
  }

  /// A sample's loss and gradients do not depend on its neighbours.
  func rowInABatchEqualsTheRowAlone() {
    let together = reconstruct(batch)
    for (index, sample) in golden.samples.enumerated() {
      let alone = reconstruct(TokenBatch([(sample.tokens, sample.isScored)]))
      #expect(abs(alone.losses[0] - together.losses[index]) < 1e-5)
      for (name, gradient) in alone.gradients[0] {
        let error = relativeError(together.gradients[index][name]!.view, gradient.view)
        #expect(error < 1e-5, "\(sample.id) \(name): \(error)")
      }
    }
  }

  /// Steps one weight of each layer up and down; the loss must follow the gradient's entry.
  func gradientsEqualFiniteDifferences() throws {
    let sample = golden.samples[1]
    let batch = TokenBatch([(sample.tokens, sample.isScored)])
    let gradients = reconstruct(batch).gradients[0]
    for (index, layer) in model.linearLayers.enumerated() {
      let gradient = try #require(gradients[layer.name])
      let (row, column) = largestEntry(gradient)
      let difference = slope(ofLayer: index, row, column, batch)
      let entry = Double(gradient[row, column])
      #expect(
        abs(difference - entry) < 2e-2 * abs(entry) + 1e-4, "\(layer.name): \(difference) against \(entry)")
    }
  }

  /// Central difference of the loss by one weight.
  private func slope(ofLayer index: Int, _ row: Int, _ column: Int, _ batch: TokenBatch) -> Double {
    let step: Float = 1e-2
    let losses = [step, -step].map { change in
      var weights = model.linearLayers.indices.map { model.linearWeight($0) }
      let changed = Matrix(rows: weights[index].rows, columns: weights[index].columns)
      changed.copy(weights[index].f32)
      changed[row, column] += change
      weights[index] = .f32(changed.view)
      return model.replacingLinearWeights(weights).losses(of: batch, workspace: Workspace())[0]
    }
    return (losses[0] - losses[1]) / Double(2 * step)
  }

  /// 8,192 tokens, of which the first 40 predict: what comes after changes nothing, and no T x T matrix is made.
  func longSequenceEqualsItsBeginning() {
    let tokens = (0..<8192).map { index -> Int32 in
      let mixed = index * 31 + index / 7
      return Int32(mixed % model.vocabularySize)
    }
    func run(_ length: Int) -> (losses: [Double], gradients: [[String: Matrix]]) {
      let isScored = (0..<length).map { $0 > 0 && $0 < 40 }
      return reconstruct(TokenBatch([(Array(tokens[..<length]), isScored)]))
    }
    let (long, short) = (run(8192), run(40))
    #expect(long.losses == short.losses)
    for (name, gradient) in short.gradients[0] {
      let error = relativeError(long.gradients[0][name]!.view, gradient.view)
      #expect(error < 1e-5, "\(name): \(error)")
    }
    let perHead = 8192 * 8192 * MemoryLayout<Float>.stride
    #expect(model.activationBytes(tokens: 8192) < perHead, "less than one matrix of probabilities")
  }

  /// A pass that keeps nothing gives the same bits.
  func lossWithoutBackwardIsTheSame() {
    #expect(model.losses(of: batch, workspace: Workspace()) == reconstruct(batch).losses)
  }
}

private func largestEntry(_ matrix: Matrix) -> (row: Int, column: Int) {
  let values = matrix.view.values
  let index = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
  return (index / matrix.columns, index % matrix.columns)
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
