import Formats
import LanguageModels
import TensorKernels

/// A curvature as a safetensors file: what it was made of as strings under `__metadata__`, a matrix a tensor (F32).
extension Curvature {
  /// Writes it beside `path` and renames.
  package func write(to path: String, force: Bool) throws {
    try SafetensorsWriter.write(
      to: path,
      tensors: tensors.map { name, matrix in
        LazyTensor(name: name, shape: [matrix.rows, matrix.columns], values: .f32 { matrix.values })
      }, metadata: origin.metadata, force: force)
  }

  /// Opens a file, its matrices mapped rather than read.
  ///
  /// Throws `LabelError.otherCurvature` where it was made of something else than is `wanted`, `FormatError` or
  /// `ModelError` where it is damaged.
  package init(path: String, wanted: CurvatureOrigin) throws {
    let file = try SafetensorsFile(path: path)
    origin = try CurvatureOrigin(metadata: file.metadata, format: CurvatureOrigin.format, path: path)
    try origin.check(is: wanted, path: path)
    content = try CurvatureTensors(weights: SafetensorsWeights(path: path)).content(of: origin)
  }
}

extension CurvatureOrigin {
  /// From a file's strings; throws where it is no curvature.
  init(metadata: [String: String], format: String, path: String) throws {
    func malformed(_ reason: String) -> FormatError { .malformed(place: path, reason: reason) }
    guard metadata["format"] == format else {
      throw malformed("it is no curvature file of `alinfik curvature`, or a shard of one")
    }
    guard metadata["schema_version"] == Self.schemaVersion else {
      throw malformed("it was written by another version of this program")
    }
    guard let kind = metadata["kind"].flatMap(CurvatureKind.init),
      let precision = metadata["precision"].flatMap(Precision.init),
      let model = metadata["model_sha256"], let sample = metadata["sample_sha256"],
      let count = metadata["sample_count"].flatMap({ Int($0) }), let projection = metadata["projection"],
      let rank = metadata["rank"].flatMap({ Int($0) }), let list = metadata["layers"]
    else { throw malformed("what it says of its origin is not complete") }
    let layers = try list.split(separator: "\n").map { line -> LinearLayer in
      let parts = line.split(separator: " ")
      guard parts.count == 3, let output = Int(parts[1]), let input = Int(parts[2]), output > 0, input > 0
      else { throw malformed("what it says of its layers cannot be read ('\(line)')") }
      return LinearLayer(name: String(parts[0]), inputWidth: input, outputWidth: output)
    }
    guard !layers.isEmpty else { throw malformed("what it says of its layers cannot be read") }
    (self.kind, self.precision, modelSHA256, sampleSHA256) = (kind, precision, model, sample)
    (sampleCount, self.projection, self.rank, self.layers) = (count, projection, rank, layers)
  }
}

/// Reads a curvature's matrices out of its file.
private struct CurvatureTensors {
  let weights: SafetensorsWeights

  func content(of origin: CurvatureOrigin) throws -> Curvature.Content {
    switch origin.kind {
    case .fisher:
      let projection = LoGraProjection(
        sides: try origin.layers.map { layer in
          let (input, output) = ("\(layer.name).projection.input", "\(layer.name).projection.output")
          return (
            try matrix(input, rows: try rows(input), columns: layer.inputWidth),
            try matrix(output, rows: try rows(output), columns: layer.outputWidth)
          )
        })
      let layers = try zip(origin.layers, projection.layers).map { layer, sides in
        let name = "\(layer.name).eigenvectors"
        let rank = try rows(name)
        return ProjectedFisher.Layer(
          name: layer.name, vectors: try matrix(name, rows: rank, columns: sides.range.count),
          values: try matrix("\(layer.name).eigenvalues", rows: 1, columns: rank))
      }
      return .fisher(ProjectedFisher(layers: layers), projection)
    case .ekfac, .ekfacBasis:
      return .kronecker(
        KroneckerEigenbasis(
          layers: try origin.layers.map { layer in
            KroneckerEigenbasis.Layer(
              name: layer.name,
              inputVectors: try matrix(
                "\(layer.name).input_eigenvectors", rows: layer.inputWidth, columns: layer.inputWidth),
              outputVectors: try matrix(
                "\(layer.name).output_eigenvectors", rows: layer.outputWidth, columns: layer.outputWidth),
              values: try matrix(
                "\(layer.name).eigenvalues", rows: origin.kind == .ekfac ? layer.outputWidth : 0,
                columns: layer.inputWidth))
          }))
    case .adam:
      return .secondMoment(
        SecondMoment(
          names: origin.layers.map(\.name),
          layers: try origin.layers.map {
            try matrix("\($0.name).second_moment", rows: $0.outputWidth, columns: $0.inputWidth)
          }))
    }
  }

  /// The rows of a tensor, where they depend on the numbers that it was made from.
  private func rows(_ name: String) throws -> Int {
    guard let shape = weights.shape(of: name), shape.count == 2 else {
      throw FormatError.malformed(place: weights.path, reason: "the tensor '\(name)' is missing")
    }
    return shape[0]
  }

  private func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    // Nothing can be mapped of a tensor without numbers.
    rows * columns == 0
      ? Matrix(rows: rows, columns: columns).view : try weights.matrix(name, rows: rows, columns: columns)
  }
}
