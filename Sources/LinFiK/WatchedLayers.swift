import LanguageModels
import TensorKernels

/// The linear layers whose gradients count, chosen by a glob over their weight names; of a model with a LoRA adapter
/// `adapter` chooses the adapter's matrices, and nothing else does.
package struct WatchedLayers: Sendable {
  /// Their descriptions, in forward order.
  package let layers: [LinearLayer]
  /// For each of the model's linear layers its place in `layers`, or nil.
  private let places: [Int?]

  /// Throws `LabelError.noLayer` where the glob matches none of the model's linear layers.
  package init(of model: any CausalLanguageModel, matching glob: String = "*") throws {
    var layers: [LinearLayer] = []
    let wantsAdapter = glob == "adapter"
    guard !wantsAdapter || !model.adapterLayers.isEmpty else { throw LabelError.noAdapter }
    places = model.linearLayers.enumerated().map { index, layer in
      let isMatch = wantsAdapter || matches(glob: Array(glob.utf8)[...], name: Array(layer.name.utf8)[...])
      guard isMatch, model.adapterLayers.contains(index) == wantsAdapter else { return nil }
      layers.append(layer)
      return layers.count - 1
    }
    guard !layers.isEmpty else {
      throw LabelError.noLayer(glob: glob, examples: model.linearLayers.prefix(7).map(\.name))
    }
    self.layers = layers
  }

  /// The place of the model's linear layer `index`, nil where it is not watched.
  package func place(ofLayer index: Int) -> Int? { places[index] }

  /// The model with other weights in its watched layers, by place.
  func replacing(_ weights: [Matrix], in model: any CausalLanguageModel) -> any CausalLanguageModel {
    model.replacingLinearWeights(
      model.linearLayers.indices.map { layer in
        place(ofLayer: layer).map { .f32(weights[$0].view) } ?? model.linearWeight(layer)
      })
  }

  /// Writes the model's watched weights, by place.
  func copyWeights(of model: any CausalLanguageModel, into weights: [Matrix]) {
    for layer in model.linearLayers.indices {
      if let place = place(ofLayer: layer) { weights[place].copy(model.linearWeight(layer).f32) }
    }
  }

  /// Numbers in a gradient projected to `rank` a side; a side no wider than that is not projected.
  package func projectedWidth(rank: Int) -> Int {
    layers.reduce(0) { $0 + min(rank, $1.inputWidth) * min(rank, $1.outputWidth) }
  }

  /// Throws `LabelError.options` where no side is as wide as the rank: nothing would be projected.
  package func refuseRank(above rank: Int) throws {
    let widest = layers.reduce(0) { max($0, $1.inputWidth, $1.outputWidth) }
    guard rank > widest else { return }
    throw LabelError.options(
      "--rank \(rank): the widest side of the watched layers has \(widest) numbers; a smaller rank, or --projection none"
    )
  }

  /// Weights that count, over all watched layers.
  package var parameterCount: Int { layers.reduce(0) { $0 + $1.inputWidth * $1.outputWidth } }
}

/// Shell globbing without character classes: `*` is any run of characters, `?` any one.
private func matches(glob: ArraySlice<UInt8>, name: ArraySlice<UInt8>) -> Bool {
  guard let first = glob.first else { return name.isEmpty }
  if first == UInt8(ascii: "*") {
    return matches(glob: glob.dropFirst(), name: name)
      || (!name.isEmpty && matches(glob: glob, name: name.dropFirst()))
  }
  guard let byte = name.first, first == UInt8(ascii: "?") || first == byte else { return false }
  return matches(glob: glob.dropFirst(), name: name.dropFirst())
}
