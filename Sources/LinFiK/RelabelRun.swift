import Formats
import LanguageModels
import Records
import TensorKernels

/// Everything `relabel` is told.
package struct RelabelConfiguration: Sendable {
  package var kind = LabelKind.dot
  /// lambda as a share of a layer's mean eigenvalue, for `logra` and `relatif`.
  package var damping = LabelDefaults.dampingFactor
  package var perTarget = false
  package var storesGradients = false
  package var targetDescription = ""
  /// The command line, file names without folders.
  package var command = ""

  package init() {}
}

/// Labels of the same samples for other targets, from the projected gradients that a label file keeps: the targets alone go
/// through the model.
///
/// The numbers are those of `label` but for what was rounded off when the gradients were stored.
package struct RelabelRun: Sendable {
  private let file: LabelFile
  private let model: LoadedModel
  private let watched: WatchedLayers
  private let targets: PreparedRows
  private let projection: LoGraProjection
  private let configuration: RelabelConfiguration

  /// Rows of gradients read at once.
  private static let blockRows = 64

  /// Throws `LabelError` where the file keeps no gradients, the model is another one, the kind is not measured on projected
  /// gradients, or the projection cannot be made again.
  package init(
    _ file: LabelFile, model: LoadedModel, targets: PreparedRows, configuration: RelabelConfiguration
  ) throws {
    guard file.shape.projected > 0 else {
      throw LabelError.options("\(file.path): it keeps no gradients; label with --store-gradients to relabel")
    }
    guard configuration.kind.allowsProjection else {
      throw LabelError.options(
        "--kind \(configuration.kind.rawValue) is measured on whole gradients; stored ones are projected")
    }
    if configuration.kind.needsDamping { try checkDamping(configuration.damping) }
    guard model.sha256 == file.attributes.modelSHA256 else {
      throw LabelError.options(
        "\(model.path) is not the model of \(file.path) (SHA-256 \(model.sha256.prefix(12))..., there "
          + "\(file.attributes.modelSHA256.prefix(12))...)")
    }
    guard !targets.records.isEmpty else { throw LabelError.emptyTarget }
    watched = try WatchedLayers(of: model.model, matching: file.attributes.extra["layers"] ?? "*")
    projection = try LoGraProjection(of: file, watched: watched)
    if configuration.kind.needsProjection, configuration.damping == 0,
      let (layer, sides) = zip(watched.layers, projection.layers).first(where: { $1.range.count > file.count }
      )
    {
      throw LabelError.singular(layer: layer.name, rank: file.count, width: sides.range.count)
    }
    if let shard = file.attributes.extra["shard"], configuration.kind.needsProjection {
      throw LabelError.options(
        "\(file.path) is shard \(shard): \(configuration.kind.rawValue) wants the gradients of all samples; merge the shards first"
      )
    }
    self.file = file
    self.model = model
    self.targets = targets
    self.configuration = configuration
  }

  /// Labels every row and writes `path`.
  package func run(
    output path: String, force: Bool, workers: Int,
    progress: @escaping @Sendable (_ targetsDone: Int, _ of: Int) throws -> Void
  ) throws {
    try OutputFile.refuseExisting(path, force: force)
    let rows = try rows(workers: workers, progress: progress)
    var shape = file.shape
    shape.targets = configuration.perTarget ? targets.count : 0
    shape.layers = 0
    shape.projected = configuration.storesGradients ? shape.projected : 0
    var columns = file.columns
    columns.targetIDs = configuration.perTarget ? targets.records.map(\.id) : nil
    columns.layerNames = nil
    try LabelFile.write(
      to: path, attributes: attributes, columns: columns, shape: shape, from: file, force: force
    ) { row in
      let found = rows[row.index]
      row.label = Float(found.label)
      if configuration.kind.needsNorm { row.gradientNorm = Float(found.gradientNorm) }
      row.labelsPerTarget = found.perTarget
      row.labelsPerLayer = []
      if !configuration.storesGradients { row.projectedGradient = nil }
    }
  }

  private func rows(
    workers: Int, progress: @escaping @Sendable (_ done: Int, _ of: Int) throws -> Void
  ) throws -> [InfluenceRow] {
    let measured = try ProjectedInfluence(
      of: targets.sequences, model: model.model, watched: watched, projection: projection, kind: .dot,
      gradientNorm: false, perTarget: false, keepsGradients: false, workers: workers,
      batchTokens: LabelDefaults.batchTokens(for: model.model),
      progress: { [count = targets.count] in try progress($0, count) })
    let scoring = try ProjectedScoring(
      kind: configuration.kind, projection: projection, meanTarget: measured.meanTarget,
      targets: configuration.perTarget ? measured.targets : nil, fisher: try fisher(workers: workers))
    return try stride(from: 0, to: file.count, by: Self.blockRows).flatMap { start in
      let found = scoring.rows(
        try gradients(start..<min(start + Self.blockRows, file.count)),
        measuresNorm: configuration.kind.needsNorm)
      if let row = found.firstIndex(where: { !$0.label.isFinite }) {
        throw LabelError.notFinite("the label of '\(file.ids[start + row])'")
      }
      return found
    }
  }

  private func gradients(_ rows: Range<Int>) throws -> MatrixView {
    Matrix(
      rows: rows.count, columns: projection.width, values: try file.projectedGradients(rows: rows)
    ).view
  }

  /// Of all the file's rows.
  private func fisher(workers: Int) throws -> DampedFisher? {
    guard configuration.kind.needsProjection else { return nil }
    let fisher = try ProjectedFisher(
      gradients: try gradients(0..<file.count), projection: projection, watched: watched, workers: workers)
    return try DampedFisher(fisher, damping: configuration.damping)
  }

  private var attributes: LabelAttributes {
    var attributes = file.attributes
    attributes.alinfikVersion = alinfikVersion
    attributes.kind = configuration.kind.rawValue
    attributes.damping = configuration.kind.needsDamping ? configuration.damping : 0
    attributes.targetSHA256 = targets.sha256
    attributes.targetDescription = configuration.targetDescription
    attributes.command = configuration.command
    attributes.extra["curvature_sha256"] = nil
    // Curvature, where there is any, is of these gradients too.
    attributes.extra["relabelled_from"] = "gradients stored as \(file.shape.storage.rawValue)"
    return attributes
  }
}

extension LoGraProjection {
  /// The projection that a label file's gradients were made with: kept in it, or made again from its seed.
  ///
  /// Throws `LabelError.options` where it is not the same.
  init(of file: LabelFile, watched: WatchedLayers) throws {
    let attributes = file.attributes
    if let stored = try file.storedProjection() {
      try self.init(stored: stored, watched: watched, path: file.path)
    } else if attributes.projection == "random", attributes.rank > 0 {
      self.init(watched: watched, rank: attributes.rank, seed: attributes.seed)
    } else {
      throw LabelError.options(
        "\(file.path): its projection (\(attributes.projection)) is not kept in it, and cannot be made again")
    }
    guard sha256 == attributes.extra["projection_sha256"], width == file.shape.projected else {
      throw LabelError.options("\(file.path): its gradients were made with another projection than it names")
    }
  }

  /// Its matrices as a label file keeps them.
  var stored: StoredProjection {
    StoredProjection(
      ranks: layers.flatMap { [Int32($0.input.rows), Int32($0.output.rows)] },
      numbers: layers.flatMap { $0.input.values + $0.output.values })
  }

  private init(stored: StoredProjection, watched: WatchedLayers, path: String) throws {
    let widths = watched.layers.flatMap { [$0.inputWidth, $0.outputWidth] }
    let sizes = zip(stored.ranks, widths).map { Int($0) * $1 }
    guard stored.ranks.count == widths.count, stored.ranks.allSatisfy({ $0 > 0 }),
      sizes.reduce(0, +) == stored.numbers.count
    else { throw LabelError.options("\(path): its projection is for other layers") }
    var start = 0
    let sides = zip(zip(stored.ranks, widths), sizes).map { side, size in
      defer { start += size }
      return Matrix(
        rows: Int(side.0), columns: side.1, values: Array(stored.numbers[start..<start + size])
      ).view
    }
    self.init(sides: stride(from: 0, to: sides.count, by: 2).map { (sides[$0], sides[$0 + 1]) })
  }
}
