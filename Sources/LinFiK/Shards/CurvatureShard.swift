import Formats
import LanguageModels
import TensorKernels

/// What one of several runs has added up for a curvature: the sums of its own blocks, each by itself, so that `merged` adds
/// them in the order of one run.
package struct CurvatureShard {
  /// What is added up; EK-FAC wants two rounds, for its factors, and in the basis made of them for its eigenvalues.
  package enum Stage: String, Sendable { case fisher, factors, eigenvalues, secondMoment = "second-moment" }

  let origin: CurvatureOrigin
  let stage: Stage
  let shard: Shard
  /// Of the basis that eigenvalues are measured in, else empty; beta2 of a second moment.
  let recipe: String
  /// By block, then by place.
  let sums: [Int: [DoubleSum]]
  /// Of `fisher`, by layer: the shard's own rows where gradients are kept.
  let gradients: [MatrixView?]
  let projection: LoGraProjection?

  static let format = "alinfik-curvature-shard"

  private var tensors: [LazyTensor] {
    var all: [LazyTensor] = []
    for block in sums.keys.sorted() {
      for (place, sum) in sums[block]!.enumerated() where !sum.values.isEmpty {
        all.append(
          LazyTensor(name: "sum.\(block).\(place)", shape: [sum.values.count], values: .f64 { sum.values }))
      }
    }
    func add(_ name: String, _ matrix: MatrixView) {
      all.append(
        LazyTensor(name: name, shape: [matrix.rows, matrix.columns], values: .f32 { matrix.values }))
    }
    for (place, kept) in gradients.enumerated() {
      if let kept { add("gradients.\(place)", kept) }
    }
    for (place, sides) in (projection?.layers ?? []).enumerated() {
      add("projection.\(place).input", sides.input)
      add("projection.\(place).output", sides.output)
    }
    return all
  }

  /// Writes it beside `path` and renames.
  package func write(to path: String, force: Bool) throws {
    var metadata = origin.metadata
    metadata[0].value = Self.format
    metadata += [("stage", stage.rawValue), ("shard", "\(shard)"), ("recipe", recipe)]
    try SafetensorsWriter.write(to: path, tensors: tensors, metadata: metadata, force: force)
  }
}

// MARK: - Making

extension CurvatureRecipe {
  /// Sums of the shard's blocks, by one pass over their rows.
  ///
  /// - Parameter basis: for `ekfac`, where its factors are known and eigenvalues are wanted.
  package func shard(
    _ shard: Shard, basis: Curvature? = nil, workers: Int,
    progress: @escaping @Sendable (_ done: Int, _ of: Int) throws -> Void
  ) throws -> CurvatureShard {
    guard shard.count <= SummationBlocks.count else {
      throw LabelError.options(
        "--shard \(shard): curvature is made by at most \(SummationBlocks.count) shards")
    }
    let blocks = SummationBlocks(
      rows: samples?.sequences ?? [], batchTokens: LabelDefaults.batchTokens(for: model.model))
    let chosen = SummationBlocks.blocks(of: shard)
    let own = blocks.range(chosen)
    let step = { @Sendable [count = own.count] done in try progress(done, count) }
    func sums(_ summand: some BlockSummand) throws -> [Int: [DoubleSum]] {
      var found: [Int: [DoubleSum]] = [:]
      try blocks.forEach(chosen, summand, model: model.model, workers: workers, progress: step) {
        found[$0] = $1
      }
      return found
    }
    func made(
      _ stage: CurvatureShard.Stage, _ sums: [Int: [DoubleSum]], recipe: String = "",
      gradients: [MatrixView?] = [], projection: LoGraProjection? = nil
    ) -> CurvatureShard {
      CurvatureShard(
        origin: origin, stage: stage, shard: shard, recipe: recipe, sums: sums, gradients: gradients,
        projection: projection)
    }
    switch kind {
    case .fisher:
      let projection = try LoGraProjection(self, workers: workers)
      let summand = FisherSummand(
        rows: blocks.rows.count, own: own, projection: projection, watched: watched,
        precision: model.model.precision)
      let products = try sums(summand)
      return made(.fisher, products, gradients: summand.gradients.map { $0?.view }, projection: projection)
    case .ekfac, .ekfacBasis:
      guard let basis, case .kronecker(let eigenbasis) = basis.content else {
        return made(.factors, try sums(FactorSummand(watched: watched)))
      }
      let summand = SquareSummand(watched: watched, rows: blocks.rows.count, basis: eigenbasis)
      return made(.eigenvalues, try sums(summand), recipe: basis.sha256)
    case .adam:
      let weights = SecondMoment.weights(rows: blocks.rows.count, beta2: beta2)
      return made(
        .secondMoment, try sums(SquareSummand(watched: watched, weights: weights)), recipe: "\(beta2)")
    }
  }
}

// MARK: - Merging

/// The shards of one curvature.
package struct CurvatureShards {
  private let files: [SafetensorsFile]
  private let origin: CurvatureOrigin
  private let stage: CurvatureShard.Stage
  private let recipe: String

  /// Whether a file is a curvature's shard: a safetensors file.
  package static func isShard(_ path: String) -> Bool {
    guard let file = try? SafetensorsFile(path: path) else { return false }
    return file.metadata["format"] != nil
  }

  /// Opens the files, in any order. Throws `LabelError` naming the file where one is no shard, is there twice or missing, or
  /// was made otherwise than the first.
  package init(paths: [String]) throws {
    let files = try paths.map { try SafetensorsFile(path: $0) }
    let shards = try zip(files, paths).map { file, path -> Shard in
      guard file.metadata["format"] == CurvatureShard.format,
        let shard = file.metadata["shard"].flatMap({ Shard($0) })
      else { throw LabelError.options("\(path): it is no shard; files of `curvature --shard` are merged") }
      return shard
    }
    let order = try ShardOrder(shards: shards, paths: paths).order
    let first = files[order[0]]
    for place in order {
      let keys = Set(first.metadata.keys).union(files[place].metadata.keys).subtracting(["shard"])
      if let key = keys.sorted().first(where: { files[place].metadata[$0] != first.metadata[$0] }) {
        throw LabelError.options("\(paths[place]): it was made with another \(key) than \(paths[order[0]])")
      }
    }
    guard let stage = first.metadata["stage"].flatMap(CurvatureShard.Stage.init) else {
      throw FormatError.malformed(place: paths[order[0]], reason: "its stage is not known")
    }
    origin = try CurvatureOrigin(metadata: first.metadata, format: CurvatureShard.format, path: first.path)
    self.files = order.map { files[$0] }
    self.stage = stage
    recipe = first.metadata["recipe"] ?? ""
  }

  /// The curvature that one run would have made; of EK-FAC's first round its basis.
  ///
  /// - Parameter basis: the path of that basis, for the second round.
  package func merged(basis path: String?, workers: Int) throws -> Curvature {
    guard (path != nil) == (stage == .eigenvalues) else {
      throw LabelError.options("--basis FILE is wanted for the second round of ekfac, and only there")
    }
    let names = origin.layers.map(\.name)
    switch stage {
    case .fisher:
      let projection = try projection()
      let widths = projection.layers.map(\.range.count)
      let zeros = widths.map {
        DoubleSum(
          symmetric: FisherSummand.keepsGradients(width: $0, rows: origin.sampleCount) ? 0 : $0)
      }
      let gradients = try widths.enumerated().map { place, width in
        FisherSummand.keepsGradients(width: width, rows: origin.sampleCount)
          ? try self.gradients(place, width: width) : nil
      }
      let fisher = try ProjectedFisher(
        rows: origin.sampleCount, gradients: gradients, products: try total(zeros), names: names,
        workers: workers)
      return Curvature(origin: origin, content: .fisher(fisher, projection))
    case .factors:
      let zeros = origin.layers.flatMap {
        [DoubleSum(symmetric: $0.inputWidth), DoubleSum(symmetric: $0.outputWidth)]
      }
      var made = origin
      made.kind = .ekfacBasis
      return Curvature(
        origin: made,
        content: .kronecker(
          try KroneckerEigenbasis(factors: try total(zeros), names: names, workers: workers)))
    case .eigenvalues:
      var wanted = origin
      wanted.kind = .ekfacBasis
      let basis = try Curvature(path: path!, wanted: wanted)
      guard basis.sha256 == recipe, case .kronecker(let eigenbasis) = basis.content else {
        throw LabelError.otherCurvature(path!, "it is another basis than that of the shards")
      }
      return Curvature(
        origin: origin,
        content: .kronecker(KroneckerEigenbasis(correcting: eigenbasis, squares: try total(squares))))
    case .secondMoment:
      return Curvature(
        origin: origin, content: .secondMoment(try SecondMoment(try total(squares), names: names)))
    }
  }

  private var squares: [DoubleSum] {
    origin.layers.map { DoubleSum(rows: $0.outputWidth, columns: $0.inputWidth) }
  }

  /// All blocks' sums, added in their order.
  private func total(_ zeros: [DoubleSum]) throws -> [DoubleSum] {
    for (index, file) in files.enumerated() {
      for block in SummationBlocks.blocks(of: Shard(index: index + 1, count: files.count)!) {
        for (place, sum) in zeros.enumerated() where !sum.values.isEmpty {
          let name = "sum.\(block).\(place)"
          let tensor = try file.tensor(named: name, shape: [sum.values.count])
          guard tensor.type == .f64 else {
            throw FormatError.malformed(place: file.path, reason: "the tensor '\(name)' is not in F64")
          }
          sum.add(file.doubles(of: tensor))
        }
      }
    }
    return zeros
  }

  private func gradients(_ place: Int, width: Int) throws -> MatrixView {
    let whole = Matrix(rows: origin.sampleCount, columns: width)
    var start = 0
    for file in files {
      let name = "gradients.\(place)"
      let rows = file.tensor(named: name)?.shape.first ?? 0
      guard start + rows <= whole.rows else {
        throw FormatError.malformed(place: file.path, reason: "the tensor '\(name)' has too many rows")
      }
      let values = try file.floats(named: name, shape: [rows, width])
      whole.rows(start..<start + rows).copy(Matrix(rows: rows, columns: width, values: values).view)
      start += rows
    }
    guard start == whole.rows else {
      throw FormatError.malformed(
        place: files[0].path, reason: "the shards have \(start) of \(whole.rows) rows")
    }
    return whole.view
  }

  /// The first shard's; throws where another's differs.
  private func projection() throws -> LoGraProjection {
    let all = try files.map { file in
      LoGraProjection(
        sides: try origin.layers.enumerated().map { place, layer in
          func side(_ name: String, _ width: Int) throws -> MatrixView {
            let rows = file.tensor(named: "projection.\(place).\(name)")?.shape.first ?? 0
            let values = try file.floats(named: "projection.\(place).\(name)", shape: [rows, width])
            return Matrix(rows: rows, columns: width, values: values).view
          }
          return (try side("input", layer.inputWidth), try side("output", layer.outputWidth))
        })
    }
    let hashes = all.map(\.sha256)
    if let place = hashes.firstIndex(where: { $0 != hashes[0] }) {
      throw LabelError.options("\(files[place].path): its projection is not that of \(files[0].path)")
    }
    return all[0]
  }
}

extension TensorFile {
  /// A tensor's bytes as f64, little-endian, wherever they lie.
  fileprivate func doubles(of tensor: TensorInfo) -> [Double] {
    let raw = bytes(of: tensor)
    return [Double](unsafeUninitializedCapacity: tensor.elementCount) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: raw)
      count = tensor.elementCount
    }
  }
}
