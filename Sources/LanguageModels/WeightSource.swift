import Formats
import Foundation
import TensorKernels

/// Weights by their Hugging Face names.
package protocol WeightSource {
  /// The named tensor as a matrix (a vector is one row). Throws `ModelError` where it is missing, has another shape,
  /// or holds a value that is not finite.
  func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView
  /// The same, left as the file holds it where that is bf16.
  func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix
  /// The file or directory, for messages.
  var path: String { get }
  /// All tensors that are there, by the names that the files give them.
  var names: [String] { get }
  /// The name that the files give a tensor.
  func storedName(_ name: String) -> String
}

extension WeightSource {
  package func storedName(_ name: String) -> String { name }

  /// Throws where there are biases of other layers than the named ones: a model that has them computes something else
  /// than is computed here.
  func refuseBiases(exceptThoseOf layers: [String]) throws {
    let allowed = Set(layers.map { storedName("\($0).bias") })
    if let bias = names.first(where: { $0.hasSuffix(".bias") && !allowed.contains($0) }) {
      throw ModelError.tensor(
        path, bias, "is a bias that a model of this family and configuration does not have")
    }
  }
}

extension WeightSource {
  /// Throws where the file has a further block: a configuration that claims fewer layers describes another model.
  ///
  /// `prefixes` is what the names of a block's tensors begin with, up to its index.
  func refuseBlock(_ index: Int, prefixes: [String] = ["model.layers.", "blk."]) throws {
    let further = prefixes.map { "\($0)\(index)." }
    if let name = names.first(where: { name in further.contains { name.hasPrefix($0) } }) {
      throw ModelError.tensor(
        path, name, "belongs to block \(index), but the configuration says \(index) layers")
    }
  }
}

/// The tensors of a safetensors file, or of several with an index, used in place where they are F32 (weights: or BF16),
/// else converted.
package struct SafetensorsWeights: WeightSource {
  package let path: String
  private let files: [SafetensorsFile]
  /// By tensor: which of the files holds it.
  private let places: [String: Int]

  package var names: [String] { files.flatMap { $0.tensors.map(\.name) } }

  /// One file.
  package init(path: String) throws {
    self.path = path
    files = [try SafetensorsFile(path: path)]
    places = Dictionary(uniqueKeysWithValues: files[0].tensors.map { ($0.name, 0) })
  }

  /// A directory's model.safetensors, or the files that its model.safetensors.index.json names.
  package init(directory: String) throws {
    let whole = "\(directory)/model.safetensors"
    if FileManager.default.fileExists(atPath: whole) {
      self = try SafetensorsWeights(path: whole)
      return
    }
    path = directory
    files = try Self.shards(directory: directory).map { shard in
      guard FileManager.default.fileExists(atPath: shard) else {
        throw ModelError.missing("\(shard): is named by model.safetensors.index.json and is not there")
      }
      return try SafetensorsFile(path: shard)
    }
    var places: [String: Int] = [:]
    for (place, file) in files.enumerated() {
      for tensor in file.tensors where places.updateValue(place, forKey: tensor.name) != nil {
        throw ModelError.tensor(file.path, tensor.name, "is in another file of the model too")
      }
    }
    self.places = places
  }

  /// The paths of the files that hold a directory's weights. Throws where there are none.
  static func shards(directory: String) throws -> [String] {
    let whole = "\(directory)/model.safetensors"
    if FileManager.default.fileExists(atPath: whole) { return [whole] }
    let index = whole + ".index.json"
    guard FileManager.default.fileExists(atPath: index) else {
      throw ModelError.missing("\(directory): has no model.safetensors and no model.safetensors.index.json")
    }
    let names = try JSONValue.read(path: index)["weight_map"]?.members?.map { $0.value.string ?? "" } ?? []
    guard !names.isEmpty, names.allSatisfy({ !$0.isEmpty && !$0.contains("/") }) else {
      throw ModelError.configuration(
        index, "'weight_map' does not name the files beside it that hold the tensors")
    }
    return Set(names).sorted().map { "\(directory)/\($0)" }
  }

  private func file(holding name: String) throws -> SafetensorsFile {
    guard let place = places[name] else { throw ModelError.tensor(path, name, "is missing") }
    return files[place]
  }

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    try file(holding: name).matrix(name, rows: rows, columns: columns)
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    try file(holding: name).mappedWeight(name, rows: rows, columns: columns)
      ?? .f32(matrix(name, rows: rows, columns: columns))
  }

  /// The shape of a tensor, nil where it is not there.
  package func shape(of name: String) -> [Int]? {
    places[name].flatMap { files[$0].tensor(named: name)?.shape }
  }
}

extension TensorFile {
  private func checked(_ name: String, rows: Int, columns: Int) throws -> TensorInfo {
    guard let tensor = tensor(named: name) else { throw ModelError.tensor(path, name, "is missing") }
    let expected = rows == 1 ? [[columns], [1, columns]] : [[rows, columns]]
    guard expected.contains(tensor.shape) else {
      throw ModelError.tensor(
        path, name, "has shape \(tensor.shape), the configuration asks for \(expected[0])")
    }
    return tensor
  }

  /// The mapped bytes themselves where they are BF16, else nil.
  fileprivate func mappedWeight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix? {
    let tensor = try checked(name, rows: rows, columns: columns)
    guard let numbers = mappedBFloat16(of: tensor) else { return nil }
    // All ones in the exponent: an infinity or NaN. Without a branch, so that it is done by vectors.
    var broken: UInt16 = 0
    for number in numbers { broken |= number & 0x7f80 == 0x7f80 ? 1 : 0 }
    guard broken == 0 else {
      throw ModelError.tensor(path, name, "holds a NaN or an infinity")
    }
    return .bf16(BFloat16View(numbers, rows: rows, columns: columns, owner: self))
  }

  /// The mapped bytes themselves where they are F32, else the numbers converted to it.
  func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    let tensor = try checked(name, rows: rows, columns: columns)
    let matrix: Matrix
    if let mapped = mappedFloats(of: tensor) {
      matrix = Matrix(
        storage: FloatStorage(readOnly: mapped, owner: self), offset: 0, rows: rows, columns: columns)
    } else {
      matrix = Matrix(rows: rows, columns: columns)
      try decodeFloats(
        of: tensor, into: UnsafeMutableBufferPointer(start: matrix.pointer, count: rows * columns))
    }
    guard allFinite(matrix.view) else { throw ModelError.tensor(path, name, "holds a NaN or an infinity") }
    return matrix.view
  }
}
