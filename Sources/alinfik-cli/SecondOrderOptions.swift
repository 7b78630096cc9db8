import ArgumentParser
import LinFiK

/// How the labels' second order is computed: what `label` and `relabel` read.
struct SecondOrderOptions: ParsableArguments {
  @Option(
    help:
      "For logra, relatif and ekfac: lambda as a share of a layer's mean eigenvalue (default \(LabelDefaults.dampingFactor))."
  )
  var damping: Double?

  @Option(
    help: "For adam: what is added to the root of the second moment (default \(LabelDefaults.epsilon)).")
  var epsilon: Double?

  @Option(help: "For adam: how slowly the second moment forgets (default \(LabelDefaults.beta2)).")
  var beta2: Double?

  /// Throws for an option that labels of this kind would not look at.
  func validate(for kind: LabelKind) throws {
    if damping != nil, !kind.needsDamping {
      throw ValidationError("--damping wants --kind logra, relatif or ekfac")
    }
    if epsilon != nil || beta2 != nil, kind != .adam {
      throw ValidationError("--epsilon and --beta2 want --kind adam")
    }
  }
}

enum ProjectionKind: String, ExpressibleByArgument, CaseIterable {
  case none, random, pca

  /// Throws where the share is none, or no components are looked for.
  static func check(explained: Double?, with projection: ProjectionKind?) throws {
    guard let explained else { return }
    guard projection == .pca else { throw ValidationError("--explained wants --projection pca") }
    guard explained > 0, explained <= 1 else {
      throw ValidationError("--explained \(explained): a share above 0, at most 1")
    }
  }

  func projection(rank: Int?, explained: Double?) -> Projection {
    switch self {
    case .none: .none
    case .random: .random(rank: rank ?? LabelDefaults.rank)
    case .pca: .pca(rank: rank ?? LabelDefaults.rank, explained: explained)
    }
  }
}

/// `PATH:RATE`
struct CheckpointArgument: ExpressibleByArgument {
  let path: String
  let learningRate: Double

  init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"),
      let rate = Double(argument[argument.index(after: colon)...]), rate > 0, rate.isFinite
    else { return nil }
    (path, learningRate) = (String(argument[..<colon]), rate)
  }
}
