import LinFiK
import Reporting

/// Further kinds of label, made as `label --kind` makes them.
extension ComparisonRun {
  /// Kinds that stand in no report by themselves: `dot` is its reference, and `logra` and TracIn are always there.
  package static let furtherKinds: [LabelKind] = [.cosine, .layerCosine, .relatif, .ekfac, .adam]

  func labels(of kind: LabelKind) throws -> ComparedMethod {
    var made = LabelConfiguration()
    made.kind = kind
    made.layers = configuration.layers
    made.projection = kind.needsProjection ? .random(rank: configuration.rank) : .none
    made.damping = configuration.dampingFactor
    made.seed = configuration.seed
    made.maximumTokens = configuration.maximumTokens
    let run = try LabelRun(model: model, targets: targets, samples: samples, configuration: made)
    let found = try measured {
      try run.labels(
        workers: configuration.workers,
        progress: { step in
          switch step {
          case .curvature(let done, let total):
            try progress(.rows(method: "\(kind.rawValue), curvature", done: done, of: total))
          case .targets(let done, let total):
            try progress(.rows(method: "\(kind.rawValue), target", done: done, of: total))
          case .samples(let done, let total, _, _):
            try progress(.rows(method: kind.rawValue, done: done, of: total))
          case .components, .writing: break
          }
        }, isCancelled: { false })
    }
    return ComparedMethod(
      name: Self.name(of: kind), formula: formula(of: kind), role: .influence, needs: .gradients,
      values: found.value.map(Double.init),
      cost: Cost(seconds: found.seconds, rows: samples.count, peakMemoryBytes: found.peakBytes))
  }

  private static func name(of kind: LabelKind) -> String {
    switch kind {
    case .cosine: "Cosine"
    case .layerCosine: "Layer cosine"
    case .relatif: "RelatIF"
    case .ekfac: "EK-FAC"
    case .adam: "Adam"
    case .dot, .logra, .tracin: kind.rawValue
    }
  }

  private func formula(of kind: LabelKind) -> String {
    let damping = "damping \(configuration.dampingFactor) × mean eigenvalue a layer"
    return switch kind {
    case .cosine: "⟨G, g(z)⟩ / (‖G‖ ‖g(z)‖)"
    case .layerCosine: "sum over layers of the layer's cosine"
    case .relatif:
      "LoGra influence over the square root of the row's influence on itself (rank \(configuration.rank) a side, \(damping))"
    case .ekfac:
      "⟨F⁻¹ G, g(z)⟩, F the compared rows' Fisher matrix in its Kronecker factors' eigenbasis, \(damping)"
    case .adam: "⟨G, g(z) / (√v + ε)⟩, v Adam's second moment after a pass over the compared rows"
    case .dot, .logra, .tracin: kind.rawValue
    }
  }
}
