import TensorKernels

/// Labels of projected gradients, whether just measured or out of a file: the kind's formula for one target, with what
/// curvature makes of the target's gradients computed once.
struct ProjectedScoring: Sendable {
  private let kind: LabelKind
  private let projection: LoGraProjection
  private let fisher: DampedFisher?
  /// The targets' mean gradient and each target's, turned by the curvature where there is one.
  private let mean: Target
  private let targets: [Target]

  private struct Target: Sendable {
    /// 1 x width
    let gradient: MatrixView
    /// By layer, of the gradient as it was measured.
    let squaredNorms: [Double]
  }

  /// - Parameters:
  ///   - meanTarget: 1 x width.
  ///   - targets: a row each where labels target by target are wanted, else nil.
  ///   - fisher: for `logra` and `relatif`.
  /// - Throws: `LabelError.notFinite` where the target's gradient is not.
  init(
    kind: LabelKind, projection: LoGraProjection, meanTarget: MatrixView, targets: MatrixView?,
    fisher: DampedFisher?
  ) throws {
    precondition(kind.needsProjection == (fisher != nil), "\(kind): a Fisher matrix goes with it or not")
    self.kind = kind
    self.projection = projection
    self.fisher = fisher
    func made(_ gradients: MatrixView) -> [Target] {
      let turned =
        fisher.map { $0.fisher.preconditioned(gradients, projection, damping: $0.damping) } ?? gradients
      return (0..<gradients.rows).map { index in
        let row = gradients.rows(index..<index + 1)
        return Target(
          gradient: turned.rows(index..<index + 1), squaredNorms: Self.layerDots(row, row, projection))
      }
    }
    mean = made(meanTarget)[0]
    self.targets = targets.map(made) ?? []
    guard mean.squaredNorms.allSatisfy(\.isFinite), allFinite(mean.gradient) else {
      throw LabelError.notFinite("the target's gradient")
    }
  }

  /// A row each of `gradients` (n x width), without losses. A row's bits do not depend on the others.
  func rows(_ gradients: MatrixView, measuresNorm: Bool, perLayer: Bool = false) -> [InfluenceRow] {
    let selfInfluence =
      kind == .relatif
      ? fisher!.fisher.selfInfluence(of: gradients, projection, damping: fisher!.damping) : []
    return (0..<gradients.rows).map { index in
      let gradient = gradients.rows(index..<index + 1)
      let norms = measuresNorm ? Self.layerDots(gradient, gradient, projection) : []
      func label(_ target: Target) -> Double {
        kind.label(
          dots: Self.layerDots(target.gradient, gradient, projection), squaredNorms: norms,
          targetSquaredNorms: target.squaredNorms,
          selfInfluence: selfInfluence.isEmpty ? 0 : selfInfluence[index])
      }
      return InfluenceRow(
        label: label(mean), loss: .nan, gradientNorm: measuresNorm ? norms.reduce(0, +).squareRoot() : .nan,
        perTarget: targets.map { Float(label($0)) },
        perLayer: perLayer
          ? kind.parts(
            dots: Self.layerDots(mean.gradient, gradient, projection), squaredNorms: norms,
            targetSquaredNorms: mean.squaredNorms,
            selfInfluence: selfInfluence.isEmpty ? 0 : selfInfluence[index]
          ).map { Float($0) } : [])
    }
  }

  /// The inner product of two projected gradients (1 x width), layer by layer.
  private static func layerDots(_ a: MatrixView, _ b: MatrixView, _ projection: LoGraProjection) -> [Double] {
    projection.layers.map { dot(a.columns($0.range), b.columns($0.range)) }
  }
}
