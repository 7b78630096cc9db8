/// What a label says of a sample z and the targets Q; written into every label file.
///
/// g is the gradient of a row's mean token loss over the watched weights, G = mean_q g(q); a positive label means
/// that a step on z lowers the target loss.
package enum LabelKind: String, Sendable, CaseIterable {
  /// `<G, g(z)>`: LinFiK, the first-order change of the target loss (after Pan et al. 2025, arXiv 2503.01052).
  case dot
  /// `<G, g(z)> / (|G| |g(z)|)`
  case cosine
  /// `sum_l <G_l, g_l(z)> / (|G_l| |g_l(z)|)` over layers l (as RapidIn, Lin et al., ACL 2024).
  case layerCosine = "layer-cosine"

  /// Whether the kind divides by the sample's gradient norm.
  var needsNorm: Bool { self != .dot }

  /// The label from each layer's inner product and squared norms, in f64.
  ///
  /// A layer (or whole gradient) of norm zero adds zero.
  func label(dots: [Double], squaredNorms: [Double], targetSquaredNorms: [Double]) -> Double {
    switch self {
    case .dot:
      return dots.reduce(0, +)
    case .cosine:
      let norms = (squaredNorms.reduce(0, +) * targetSquaredNorms.reduce(0, +)).squareRoot()
      return norms > 0 ? dots.reduce(0, +) / norms : 0
    case .layerCosine:
      return dots.indices.reduce(0) { sum, layer in
        let norms = (squaredNorms[layer] * targetSquaredNorms[layer]).squareRoot()
        return norms > 0 ? sum + dots[layer] / norms : sum
      }
    }
  }
}
