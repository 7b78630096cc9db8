import LanguageModels
import TensorKernels

/// Labels from whole gradients: `<G_l, g_l(z)> = sum_t d_t . (G_l x_t)`, one more product a layer, no projection,
/// nothing stored. Other targets, whose labels stand in `perTarget`, all together cost one more product a layer (each
/// sample's gradient is formed) and an inner product of a gradient's length each.
package struct ExactInfluence: InfluenceMeasure {
  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let target: MeanGradient
  let others: [MeanGradient]
  let kind: LabelKind
  let measuresNorm: Bool
  let perLayer: Bool

  package init(
    model: any CausalLanguageModel, watched: WatchedLayers, target: MeanGradient,
    others: [MeanGradient] = [], kind: LabelKind, gradientNorm: Bool,
    perLayer: Bool = false
  ) {
    self.model = model
    self.watched = watched
    self.target = target
    self.others = others
    self.kind = kind
    measuresNorm = gradientNorm || kind.needsNorm
    self.perLayer = perLayer
  }

  package func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow] {
    let observer = InnerProducts(
      target: target.layers, others: others.map(\.layers), watched: watched, samples: batch.count,
      measuresNorm: measuresNorm, precision: model.precision)
    let losses = model.losses(of: batch, workspace: workspace, observer: observer)
    return losses.enumerated().map { sample, loss in
      let norms = observer.squaredNorms[sample]
      let labels = zip([target] + others, observer.dots[sample]).map { target, dots in
        kind.label(dots: dots, squaredNorms: norms, targetSquaredNorms: target.squaredNorms)
      }
      return InfluenceRow(
        label: labels[0], loss: loss, gradientNorm: measuresNorm ? norms.reduce(0, +).squareRoot() : .nan,
        perTarget: labels.dropFirst().map { Float($0) },
        perLayer: perLayer
          ? kind.parts(
            dots: observer.dots[sample][0], squaredNorms: norms, targetSquaredNorms: target.squaredNorms
          ).map { Float($0) } : [])
    }
  }
}

/// Each sample's inner products with the targets' gradients and its own squared norm, layer by layer.
private final class InnerProducts: GradientObserver {
  private let target: [MatrixView]
  private let others: [[MatrixView]]
  private let watched: WatchedLayers
  private let measuresNorm: Bool
  private let precision: Precision
  /// By sample, target and layer.
  private(set) var dots: [[[Double]]]
  private(set) var squaredNorms: [[Double]]
  private let arena = Arena(capacity: 0)

  init(
    target: [MatrixView], others: [[MatrixView]], watched: WatchedLayers, samples: Int, measuresNorm: Bool,
    precision: Precision
  ) {
    self.precision = precision
    self.target = target
    self.others = others
    self.watched = watched
    self.measuresNorm = measuresNorm
    let layers = [Double](repeating: 0, count: watched.layers.count)
    dots = Array(repeating: Array(repeating: layers, count: 1 + others.count), count: samples)
    squaredNorms = Array(repeating: layers, count: samples)
  }

  func observe(layer: Int, input x: MatrixView, outputGradient d: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    arena.reset(capacity: x.rows * d.columns + 16)
    let pulled = arena.matrix(x.rows, d.columns)
    gemm(x, .no, target[place], .yes, into: pulled, precision: precision)
    for sample in 0..<batch.count {
      let rows = batch.rows(of: sample)
      dots[sample][0][place] = dot(d.rows(rows), pulled.view.rows(rows))
      if !others.isEmpty {
        measureOthers(sample, place, input: x.rows(rows), outputGradient: d.rows(rows))
      }
      if measuresNorm {
        squaredNorms[sample][place] = squaredGradientNorm(input: x.rows(rows), outputGradient: d.rows(rows))
      }
    }
  }

  /// From the sample's whole gradient of the layer.
  private func measureOthers(_ sample: Int, _ place: Int, input x: MatrixView, outputGradient d: MatrixView) {
    let gradient = Matrix(rows: d.columns, columns: x.columns)
    gemm(d, .yes, x, into: gradient, precision: precision)
    for (index, other) in others.enumerated() {
      dots[sample][1 + index][place] = dot(gradient.view, other[place])
    }
  }
}

/// `|sum_t d_t x_t^T|^2` of one sample: by the Gram matrices, `sum_tu (x_t . x_u)(d_t . d_u)`, or by forming the
/// gradient, whichever takes fewer operations at this length.
func squaredGradientNorm(input x: MatrixView, outputGradient d: MatrixView) -> Double {
  let length = x.rows
  if GradientNormWork(length: length, x.columns, d.columns).prefersGram {
    let inputs = Matrix(rows: length, columns: length)
    let gradients = Matrix(rows: length, columns: length)
    gemm(x, .no, x, .yes, into: inputs)
    gemm(d, .no, d, .yes, into: gradients)
    return max(0, dot(inputs.view, gradients.view))
  }
  let gradient = Matrix(rows: d.columns, columns: x.columns)
  gemm(d, .yes, x, into: gradient)
  return dot(gradient.view, gradient.view)
}
