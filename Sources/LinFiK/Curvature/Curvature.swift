import Formats
import LanguageModels
import Records
import TensorKernels

/// What is known of the loss's second order around a model: it turns the target's gradient, and the samples never know.
///
/// Labels with curvature are `<C^-1 G, g(z)>`: once C^-1 has been applied to G they cost what `dot` costs.
package struct Curvature: Sendable {
  /// What can be made of the samples' gradients.
  package enum Content: Sendable {
    /// For `logra` and `relatif`: the Fisher of projected gradients, and their projection.
    case fisher(ProjectedFisher, LoGraProjection)
    /// For `ekfac`.
    case kronecker(KroneckerEigenbasis)
    /// For `adam`.
    case secondMoment(SecondMoment)
  }

  package let origin: CurvatureOrigin
  package let content: Content

  package init(origin: CurvatureOrigin, content: Content) {
    self.origin = origin
    self.content = content
  }

  /// SHA-256 over what it was made of and every number in it.
  package var sha256: String {
    var hash = HashStream()
    for (key, value) in origin.metadata { hash.update(Array("\(key)\u{0}\(value)\n".utf8)) }
    for (name, matrix) in tensors {
      hash.update(Array(name.utf8))
      hash.update(numbers: matrix.values)
    }
    return hash.hexDigest()
  }

  /// The projection of the gradients that it is about, where they are projected.
  package var projection: LoGraProjection? {
    if case .fisher(_, let projection) = content { return projection }
    return nil
  }

  /// Its matrices by name, layer after layer.
  var tensors: [(name: String, matrix: MatrixView)] {
    switch content {
    case .fisher(let fisher, let projection):
      zip(fisher.layers, projection.layers).flatMap { layer, sides in
        [
          ("\(layer.name).eigenvectors", layer.vectors), ("\(layer.name).eigenvalues", layer.values),
          ("\(layer.name).projection.input", sides.input), ("\(layer.name).projection.output", sides.output),
        ]
      }
    case .kronecker(let basis):
      basis.layers.flatMap { layer in
        [
          ("\(layer.name).input_eigenvectors", layer.inputVectors),
          ("\(layer.name).output_eigenvectors", layer.outputVectors),
          ("\(layer.name).eigenvalues", layer.values),
        ]
      }
    case .secondMoment(let moment):
      zip(moment.names, moment.layers).map { ("\($0).second_moment", $1) }
    }
  }
}

/// The kinds of curvature, each serving one or two kinds of label.
package enum CurvatureKind: String, Sendable, CaseIterable {
  case fisher, ekfac, adam
  /// EK-FAC's eigenvectors, its eigenvalues not corrected yet: what its second round of shards works in.
  case ekfacBasis = "ekfac-basis"

  /// What a label of this kind wants; nil where it wants none.
  package init?(for kind: LabelKind) {
    switch kind {
    case .logra, .relatif: self = .fisher
    case .ekfac: self = .ekfac
    case .adam: self = .adam
    case .dot, .cosine, .layerCosine, .tracin: return nil
    }
  }
}

/// What a curvature was made of; with anything else it is refused.
package struct CurvatureOrigin: Sendable, Equatable {
  package var kind: CurvatureKind
  package var modelSHA256: String
  /// The watched layers' names and shapes.
  package var layers: [LinearLayer]
  /// Of the samples (`PreparedRows.sha256`); empty where no sample was read (an optimizer's state).
  package var sampleSHA256: String
  package var sampleCount: Int
  package var precision: Precision
  /// `none`, `random` or `pca`.
  package var projection = Projection.none.name
  /// A side of the projection, 0 without one.
  package var rank = 0

  static let format = "alinfik-curvature"
  static let schemaVersion = "1"

  package init(
    kind: CurvatureKind, model: LoadedModel, watched: WatchedLayers, samples: PreparedRows?,
    projection: Projection = .none
  ) {
    self.kind = kind
    modelSHA256 = model.sha256
    layers = watched.layers
    sampleSHA256 = samples?.sha256 ?? ""
    sampleCount = samples?.count ?? 0
    precision = model.model.precision
    self.projection = projection.name
    rank = projection.rank ?? 0
  }

  /// How the gradients that it is about are projected; nil where they are not.
  package var madeProjection: Projection? {
    switch projection {
    case "random": .random(rank: rank)
    case "pca": .pca(rank: rank)
    default: nil
    }
  }

  /// As it stands in a file, in this order.
  var metadata: [(key: String, value: String)] {
    let list = layers.map { "\($0.name) \($0.outputWidth) \($0.inputWidth)" }.joined(separator: "\n")
    return [
      ("format", Self.format), ("schema_version", Self.schemaVersion), ("alinfik_version", alinfikVersion),
      ("kind", kind.rawValue), ("model_sha256", modelSHA256), ("layers", list),
      ("sample_sha256", sampleSHA256), ("sample_count", String(sampleCount)),
      ("precision", precision.rawValue), ("projection", projection), ("rank", String(rank)),
    ]
  }

  /// Throws `LabelError.otherCurvature` naming the first thing in which a file's origin differs from what is `wanted`.
  func check(is wanted: CurvatureOrigin, path: String) throws {
    func refuse(_ what: String) -> LabelError { .otherCurvature(path, what) }
    guard kind == wanted.kind else {
      throw refuse("it is '\(kind.rawValue)' curvature, '\(wanted.kind.rawValue)' is wanted")
    }
    guard modelSHA256 == wanted.modelSHA256 else {
      throw refuse(
        "it was made with another model (SHA-256 \(modelSHA256.prefix(12))..., here \(wanted.modelSHA256.prefix(12))...)"
      )
    }
    guard layers == wanted.layers else {
      throw refuse(
        "it was made for \(layers.count) other layers than the \(wanted.layers.count) of --layers; give the same glob"
      )
    }
    guard sampleSHA256.isEmpty || sampleSHA256 == wanted.sampleSHA256 else {
      throw refuse("it was made from other samples, or with another --max-tokens")
    }
    guard precision == wanted.precision else {
      throw refuse("it was made with --precision \(precision.rawValue)")
    }
    guard wanted.projection == "none" || (projection, rank) == (wanted.projection, wanted.rank) else {
      throw refuse("its projection is '\(projection)' of rank \(rank)")
    }
  }
}
