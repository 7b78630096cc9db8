import LanguageModels
import TensorKernels

/// Labels from whole gradients: `<G_l, g_l(z)> = sum_t d_t . (G_l x_t)`, one more product a layer, no projection,
/// nothing stored.
package struct ExactInfluence: InfluenceMeasure {
  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let target: MeanGradient
  let kind: LabelKind
  let measuresNorm: Bool

  package init(
    model: any CausalLanguageModel, watched: WatchedLayers, target: MeanGradient, kind: LabelKind,
    gradientNorm: Bool
  ) {
    self.model = model
    self.watched = watched
    self.target = target
    self.kind = kind
    measuresNorm = gradientNorm || kind.needsNorm
  }

  package func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow] {
    let observer = InnerProducts(
      target: target.layers, watched: watched, samples: batch.count, measuresNorm: measuresNorm,
      precision: model.precision)
    let losses = model.losses(of: batch, workspace: workspace, observer: observer)
    return losses.enumerated().map { sample, loss in
      let norms = observer.squaredNorms[sample]
      return InfluenceRow(
        label: kind.label(
          dots: observer.dots[sample], squaredNorms: norms, targetSquaredNorms: target.squaredNorms),
        loss: loss, gradientNorm: measuresNorm ? norms.reduce(0, +).squareRoot() : .nan)
    }
  }
}

/// Each sample's inner product with the target's gradient and its own squared norm, layer by layer.
private final class InnerProducts: GradientObserver {
  private let target: [MatrixView]
  private let watched: WatchedLayers
  private let measuresNorm: Bool
  private let precision: Precision
  private(set) var dots: [[Double]]
  private(set) var squaredNorms: [[Double]]
  private let arena = Arena(capacity: 0)

  init(
    target: [MatrixView], watched: WatchedLayers, samples: Int, measuresNorm: Bool, precision: Precision
  ) {
    self.precision = precision
    self.target = target
    self.watched = watched
    self.measuresNorm = measuresNorm
    dots = Array(repeating: Array(repeating: 0, count: target.count), count: samples)
    squaredNorms = dots
  }

  func observe(layer: Int, input x: MatrixView, outputGradient d: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    arena.reset(capacity: x.rows * d.columns + 16)
    let pulled = arena.matrix(x.rows, d.columns)
    gemm(x, .no, target[place], .yes, into: pulled, precision: precision)
    for sample in 0..<batch.count {
      let rows = batch.rows(of: sample)
      dots[sample][place] = dot(d.rows(rows), pulled.view.rows(rows))
      if measuresNorm {
        squaredNorms[sample][place] = squaredGradientNorm(input: x.rows(rows), outputGradient: d.rows(rows))
      }
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
