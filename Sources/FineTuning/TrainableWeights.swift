import LanguageModels
import TensorKernels

/// A tensor that a training moves.
package struct Parameter {
  /// Its Hugging Face name.
  package let name: String
  /// As the file holds it; a vector is one row.
  package let matrix: Matrix

  /// A norm or a bias.
  package let isVector: Bool

  package var shape: [Int] { isVector ? [matrix.columns] : [matrix.rows, matrix.columns] }
}

/// Copies of another source's weights that can be written: a model made of them reads the same memory, but for what it must turn
/// (GPT-2's matrices), and is made again after each step.
package final class TrainableWeights: WeightSource {
  private let source: any WeightSource
  /// In the order in which the model asked for them.
  package private(set) var parameters: [Parameter] = []
  private var places: [String: Int] = [:]

  package init(_ source: any WeightSource) { self.source = source }

  package var path: String { source.path }
  package var names: [String] { source.names }
  package func storedName(_ name: String) -> String { source.storedName(name) }

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    if let place = places[name] {
      let known = parameters[place].matrix
      precondition(
        known.rows == rows && known.columns == columns,
        "TrainableWeights: '\(name)' is \(known.rows) x \(known.columns), asked for as \(rows) x \(columns)")
      return known.view
    }
    let copy = Matrix(rows: rows, columns: columns)
    copy.copy(try source.matrix(name, rows: rows, columns: columns))
    places[name] = parameters.count
    parameters.append(Parameter(name: name, matrix: copy, isVector: rows == 1))
    return copy.view
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    .f32(try matrix(name, rows: rows, columns: columns))
  }
}

/// The weights of a model that has learnt nothing, as `ModelSource.Initialisation` says. Each tensor has a stream of its own, so
/// that it does not depend on the others.
package struct RandomWeights: WeightSource {
  package let path: String
  let start: ModelSource.Initialisation
  let seed: UInt64

  package init(path: String, start: ModelSource.Initialisation, seed: UInt64) {
    self.path = path
    self.start = start
    self.seed = seed
  }

  package var names: [String] { [] }

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    let matrix = Matrix(rows: rows, columns: columns)
    if name.hasSuffix(".bias") {
      matrix.fill(0)
    } else if rows == 1 {
      matrix.fill(start.neutralNorm)
    } else {
      var generator = SeededGenerator(seed: seed, stream: "initial \(name)")
      let deviation = start.deviation * (name.hasSuffix("c_proj.weight") ? start.residualFactor : 1)
      for row in 0..<rows {
        for column in 0..<columns { matrix[row, column] = Float(deviation * generator.normal()) }
      }
    }
    return matrix.view
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    .f32(try matrix(name, rows: rows, columns: columns))
  }
}
