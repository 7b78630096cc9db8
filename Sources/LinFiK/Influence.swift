import LanguageModels

/// What was measured of one sample.
package struct InfluenceRow: Sendable {
  package var label: Double
  /// Mean loss over the scored tokens, in nats.
  package var loss: Double
  /// `|g(z)|` over the watched layers (of the projected gradient where there is a projection); NaN unless measured.
  package var gradientNorm: Double
  /// The label against each target alone, where asked for.
  package var perTarget: [Float] = []
  /// What each watched layer adds to the label, where asked for.
  package var perLayer: [Float] = []
  /// `P g(z)`, layer after layer, where asked for.
  package var projectedGradient: [Float] = []
}

/// A way to get labels from gradients, made ready for one target.
package protocol InfluenceMeasure: Sendable {
  /// One row a sample of the batch.
  func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow]
}
