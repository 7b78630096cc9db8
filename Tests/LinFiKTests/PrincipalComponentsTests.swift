import LanguageModels
import LinFiK
import Records
import TensorKernels
import TestSupport
import Testing

/// LoGra's PCA initialisation.
@Suite struct PrincipalComponentsTests {
  @Test func atFullRankLabelsAreExact() throws {
    let setting = try InfluenceSetting("llama/untied")
    for (label, sample) in zip(try setting.labels(setting.projection(rank: 4096)), setting.golden.samples) {
      #expect(abs(label - sample.dot) < 1e-4 * max(abs(sample.dot), 1e-2))
    }
  }

  /// A quarter of each side. What is lost makes labels smaller, more or less alike, so only directions are compared.
  @Test(.enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"))
  func labelsPointWhereTheExactOnesDo() throws {
    let setting = try InfluenceSetting("llama/stories260k")
    let exact = setting.golden.samples.map(\.dot)
    let labels = try setting.labels(setting.projection(rank: 16))
    func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let cosine = product(labels, exact) / (product(labels, labels) * product(exact, exact)).squareRoot()
    #expect(cosine > 0.99 && cosine < 0.99999, "\(cosine)")
  }

  @Test func workersDoNotChangeABit() throws {
    let setting = try InfluenceSetting("llama/untied")
    let one = try setting.projection(rank: 5, workers: 1)
    let two = try setting.projection(rank: 5, workers: 2)
    for (a, b) in zip(one.layers, two.layers) {
      #expect(a.input.values == b.input.values)
      #expect(a.output.values == b.output.values)
    }
  }

  /// Rows are orthonormal and hold nearly as much of the second moment as its own leading eigenvectors, though a
  /// random model's spectrum is flat, which is the hardest for a sketch.
  @Test func rowsAreLeadingEigenvectors() throws {
    let rank = 5
    let setting = try InfluenceSetting("llama/untied")
    let projection = try setting.projection(rank: rank)
    let moments = SecondMomentRecorder(setting.watched)
    for sample in setting.samples {
      let batch = TokenBatch([(sample.tokens, sample.scored)])
      _ = setting.model.losses(of: batch, workspace: Workspace(), observer: moments)
    }
    for (place, layer) in projection.layers.enumerated() {
      for (rows, moment) in [(layer.input, moments.inputs[place]), (layer.output, moments.outputs[place])] {
        for i in 0..<rows.rows {
          for j in 0..<rows.rows {
            let product = dot(rows.rows(i..<i + 1), rows.rows(j..<j + 1))
            #expect(abs(product - (i == j ? 1 : 0)) < 1e-4)
          }
        }
        let width = rows.columns
        let identity = (0..<width * width).map { $0 / width == $0 % width ? 1.0 : 0 }
        let exact = try #require(
          generalizedEigenpairs(moment.view.values.map(Double.init), identity, order: width)
        ).values.suffix(rank).reduce(0, +)
        let seen = Matrix(rows: rows.rows, columns: width)
        gemm(rows, .no, moment.view, into: seen)
        let kept = dot(seen.view, rows)
        #expect(kept > 0.9 * exact && kept < 1.0001 * exact, "\(kept) of \(exact)")
      }
    }
  }
}

extension InfluenceSetting {
  fileprivate func projection(rank: Int, workers: Int = 2) throws -> LoGraProjection {
    try LoGraProjection(
      principalComponentsOf: samples, model: model, watched: watched, rank: rank, seed: 1, workers: workers,
      batchTokens: 16)
  }

  fileprivate func labels(_ projection: LoGraProjection) throws -> [Double] {
    let measure = try ProjectedInfluence(
      of: targets, model: model, watched: watched, projection: projection, kind: .dot, gradientNorm: false,
      perTarget: false, keepsGradients: false, workers: 2, batchTokens: 16)
    return try rows(measure).map(\.label)
  }
}

/// Whole second moments of small layers.
private final class SecondMomentRecorder: GradientObserver {
  let watched: WatchedLayers
  let inputs: [Matrix]
  let outputs: [Matrix]

  init(_ watched: WatchedLayers) {
    self.watched = watched
    inputs = watched.layers.map { Matrix(rows: $0.inputWidth, columns: $0.inputWidth) }
    outputs = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.outputWidth) }
  }

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    gemm(input, .yes, input, into: inputs[place], beta: 1)
    gemm(outputGradient, .yes, outputGradient, into: outputs[place], beta: 1)
  }
}
