import LanguageModels
import LinFiK
import TensorKernels

/// The gradient of a step: of every parameter the sum over the step's rows of the gradients of their mean losses. Batches
/// add to it in their order, so that its bits do not depend on the workers.
final class GradientSums: @unchecked Sendable {
  let matrices: [Matrix]
  private let places: [String: Int]
  /// Of the weight and the bias of each of the model's linear layers; nil where they are not trained.
  private let layers: [(weight: Int?, bias: Int?, inputsFirst: Bool)]
  private let takesOthers: Bool
  private let precision: Precision
  private var ordered: OrderedSum<Matrix>

  /// - Parameter takesOthers: whether more is trained than linear layers.
  init(_ parameters: [Parameter], model: any CausalLanguageModel, takesOthers: Bool) {
    matrices = parameters.map { Matrix(rows: $0.matrix.rows, columns: $0.matrix.columns) }
    let places = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
    self.places = places
    self.takesOthers = takesOthers
    precision = model.precision
    layers = model.linearLayers.indices.map { layer in
      let stored = model.storedWeight(ofLayer: layer)
      let stem = stored.name.hasSuffix(".weight") ? stored.name.dropLast("weight".count) : "\(stored.name)."
      return (places[stored.name], places[stem + "bias"], stored.inputsFirst)
    }
    ordered = OrderedSum(sums: matrices)
  }

  /// Begins a step.
  func clear() {
    for matrix in matrices { matrix.fill(0) }
    ordered = OrderedSum(sums: matrices)
  }

  /// What batch number `turn` of a step shows its gradients to.
  func observer(turn: Int) -> some GradientObserver {
    Observer(sums: self, ordered: ordered, turn: turn)
  }

  private struct Observer: GradientObserver, ParameterGradients, @unchecked Sendable {
    let sums: GradientSums
    let ordered: OrderedSum<Matrix>
    let turn: Int

    func observe(layer: Int, input x: MatrixView, outputGradient d: MatrixView, batch: TokenBatch) {
      let (weight, bias, inputsFirst) = sums.layers[layer]
      if let weight {
        let (rows, columns) = inputsFirst ? (x, d) : (d, x)
        ordered.add(place: weight, turn: turn) {
          gemm(rows, .yes, columns, into: $0, beta: 1, precision: sums.precision)
        }
      }
      if let bias {
        ordered.add(place: bias, turn: turn) { addColumnSums(of: d, to: $0) }
      }
    }

    var otherGradients: (any ParameterGradients)? { sums.takesOthers ? self : nil }

    func add(_ name: String, _ body: (Matrix) -> Void) {
      guard let place = sums.places[name] else {
        preconditionFailure("a gradient of '\(name)', no parameter")
      }
      ordered.add(place: place, turn: turn, body)
    }
  }
}
