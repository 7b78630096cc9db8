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
  /// `sum_l (P G_l)^T (F_l + lambda_l I)^-1 (P g_l(z))` on projected gradients, F the samples' empirical Fisher (LoGra, Choe
  /// et al. 2024, arXiv 2405.13954).
  case logra
  /// `logra` over the square root of z's influence on itself (RelatIF, Barshan et al. 2020, arXiv 2003.11630).
  case relatif
  /// `<(F + lambda I)^-1 G, g(z)>`, F diagonal in its Kronecker factors' eigenbasis (EK-FAC, Grosse et al. 2023, arXiv
  /// 2308.03296).
  case ekfac
  /// `<G, g(z) / (sqrt(v) + eps)>`, v Adam's bias-corrected second moment.
  case adam
  /// `sum_c eta_c <G_c, g_c(z)>` over checkpoints c (Pruthi et al. 2020, arXiv 2002.08484).
  case tracin

  /// Whether the kind divides by the sample's gradient norm.
  var needsNorm: Bool { self == .cosine || self == .layerCosine }

  /// Whether the kind is defined on projected gradients alone.
  package var needsProjection: Bool { self == .logra || self == .relatif }

  /// Whether the kind can be measured on projected gradients.
  package var allowsProjection: Bool { ![.ekfac, .adam, .tracin].contains(self) }

  /// Whether lambda is a share of the mean eigenvalue.
  package var needsDamping: Bool { needsProjection || self == .ekfac }

  /// The label from each layer's inner product and squared norms, in f64, where curvature has turned the target already.
  ///
  /// `selfInfluence` counts for `relatif` alone. A layer (or whole gradient) of norm zero adds zero.
  func label(
    dots: [Double], squaredNorms: [Double], targetSquaredNorms: [Double], selfInfluence: Double = 0
  ) -> Double {
    switch self {
    case .dot, .logra, .ekfac, .adam, .tracin:
      return dots.reduce(0, +)
    case .relatif:
      return selfInfluence > 0 ? dots.reduce(0, +) / selfInfluence.squareRoot() : 0
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

  /// What each layer adds to the label; they sum to it but for rounding.
  func parts(
    dots: [Double], squaredNorms: [Double], targetSquaredNorms: [Double], selfInfluence: Double = 0
  ) -> [Double] {
    func over(_ norm: Double) -> [Double] { dots.map { norm > 0 ? $0 / norm : 0 } }
    switch self {
    case .dot, .logra, .ekfac, .adam, .tracin: return dots
    case .relatif: return over(selfInfluence.squareRoot())
    case .cosine: return over((squaredNorms.reduce(0, +) * targetSquaredNorms.reduce(0, +)).squareRoot())
    case .layerCosine:
      return dots.indices.map { layer in
        let norms = (squaredNorms[layer] * targetSquaredNorms[layer]).squareRoot()
        return norms > 0 ? dots[layer] / norms : 0
      }
    }
  }
}
