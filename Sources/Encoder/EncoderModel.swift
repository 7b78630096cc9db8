import LanguageModels
import Layers
import TensorKernels

/// A BERT-compatible encoder with a value head: token ids in, one number a text out.
///
/// With x the hidden states of a text of n tokens, the pooled features are `[sum x / n, sum x / sqrt(n)]` (the second
/// part sees the length) and the output is `features . w + b`. The parameters lie in one `FloatStorage` by `layout`.
/// They may be written between passes, by one owner, never while a pass runs.
package struct EncoderModel: Sendable {
  package let configuration: EncoderConfiguration
  package let layout: EncoderLayout
  package let parameters: FloatStorage
  /// Of all products but the head's.
  package private(set) var precision = ValuatorPrecision.f32
  /// The linear layers' weights by their place in `parameters`, where they will not change any more.
  private var packed: [Int: PackedWeight] = [:]

  package init(configuration: EncoderConfiguration, parameters: FloatStorage) {
    self.configuration = configuration
    layout = EncoderLayout(configuration)
    precondition(
      parameters.count >= layout.count, "EncoderModel: \(parameters.count) of \(layout.count) parameters")
    self.parameters = parameters
  }

  /// A model with zeroed parameters.
  package init(configuration: EncoderConfiguration) {
    let count = EncoderLayout(configuration).count
    self.init(configuration: configuration, parameters: FloatStorage(count: count))
  }

  /// Sets every parameter as BERT begins: weights normal with deviation 0.02, norms 1, biases and the head 0.
  package func initialise(seed: UInt64) {
    var generator = SeededGenerator(seed: seed, stream: "encoder-initialisation")
    for place in layout.places {
      let matrix = parameters.matrix(place)
      if place.name.hasSuffix("LayerNorm.weight") {
        matrix.fill(1)
      } else if place.isVector || place.depth > configuration.layers {
        matrix.fill(0)
      } else {
        for index in 0..<place.count { matrix.pointer[index] = Float(0.02 * generator.normal()) }
      }
    }
  }

  /// Gives the features an exact view of the length: one dimension of the last norm is made 1 for every token, so that
  /// it pools to 1 and `sqrt(n)`. Returns its number.
  ///
  /// It is the dimension whose norm weight is smallest; MiniLM has some that are zero in every text. Without it the
  /// length is only a direction blurred by content, and within a source it is the strongest sign there is.
  package func openLengthDimension() -> Int {
    let last = layout.layers.last!
    let weight = parameters.matrix(last.outputNormWeight)
    let dimension = (0..<weight.columns).min { abs(weight[0, $0]) < abs(weight[0, $1]) }!
    weight[0, dimension] = 0
    parameters.matrix(last.outputNormBias)[0, dimension] = 1
    return dimension
  }

  var attentionShape: AttentionShape {
    AttentionShape(
      heads: configuration.heads, keyValueHeads: configuration.heads, headWidth: configuration.headWidth,
      isCausal: false, precision: precision.products)
  }

  func norm(_ weight: ParameterPlace, _ bias: ParameterPlace) -> LayerNorm {
    LayerNorm(
      weight: parameters.view(weight), bias: parameters.view(bias), epsilon: configuration.layerNormEpsilon)
  }

  func linear(_ weight: ParameterPlace, _ bias: ParameterPlace) -> Linear {
    let linear = Linear(
      weight: .f32(parameters.view(weight)), bias: parameters.view(bias), precision: precision.products)
    return packed[weight.offset].map { linear.packed($0) } ?? linear
  }

  /// Of a layer, where its weights are packed.
  func feedForward(_ layer: EncoderLayerLayout) -> FeedForward? {
    guard let up = packed[layer.intermediateWeight.offset], let down = packed[layer.outputWeight.offset]
    else { return nil }
    return FeedForward(
      up: up, upBias: parameters.view(layer.intermediateBias), down: down,
      downBias: parameters.view(layer.outputBias))
  }

  /// The model as it is now, for passes forward alone, with any precision. Its parameters must not change any more.
  package func at(_ precision: ValuatorPrecision) -> EncoderModel {
    var model = self
    model.precision = precision
    let weights = layout.layers.flatMap {
      [$0.queryKeyValueWeight, $0.attentionOutputWeight, $0.intermediateWeight, $0.outputWeight]
    }
    model.packed = Dictionary(
      uniqueKeysWithValues: weights.map {
        ($0.offset, PackedWeight(.f32(parameters.view($0)), as: precision.packedNumbers))
      })
    return model
  }

  var head: Linear {
    Linear(weight: parameters.view(layout.headWeight), bias: parameters.view(layout.headBias))
  }
}

/// The memory of one worker's passes. Not to be shared between workers.
package final class EncoderWorkspace {
  let arena = Arena(capacity: 0)
  var kept: EncoderActivations?
  /// For encoders that are a language model's layers.
  let languageModel = Workspace()

  package init() {}
}

/// What a pass keeps for its backward: T tokens, n texts, hidden width H, feed-forward width F.
struct EncoderActivations {
  let batch: EncoderBatch
  let positions: [Int]
  /// T x H and 2 x T: the sum of the embeddings, and its norm's statistics.
  let embedded: Matrix
  let statistics: Matrix
  var layers: [LayerActivations] = []
  /// T x H: what the last layer gives.
  var hidden: Matrix
  /// n x 2H
  var pooled: Matrix
}

/// What one layer keeps for its backward.
struct LayerActivations {
  /// T x H
  let input: Matrix
  /// T x 3H: queries, keys and values side by side.
  let queryKeyValue: Matrix
  /// T x H: what attention gives, before its output layer.
  let context: Matrix
  /// T x H: input + attention's output layer, before its norm; the norm's statistics, 2 x T; and after it.
  let attended: Matrix
  let attendedStatistics: Matrix
  let normed: Matrix
  /// T x F: before and after GELU (the same memory where nothing is kept).
  let intermediate: Matrix
  let activated: Matrix
  /// T x H: normed + the feed-forward's output, before the last norm; the norm's statistics.
  let output: Matrix
  let outputStatistics: Matrix
}
