import Encoder
import Foundation

/// What an encoder begins from.
package enum InitialEncoder: Sendable {
  /// A Hugging Face BERT directory, such as all-MiniLM-L6-v2.
  case directory(String)
  /// The first layers of a language model, frozen; nil: all of them, and its predictions.
  case firstLayers(Int?, model: String)
  /// Random weights of this size, with the tokenizer of a directory or file.
  case scratch(EncoderSize, tokenizer: String)
}

/// The size of an encoder that begins from random weights.
package struct EncoderSize: Sendable, Equatable {
  package var layers = 4
  package var hiddenSize = 256
  package var heads = 8

  package init(layers: Int = 4, hiddenSize: Int = 256, heads: Int = 8) {
    self.layers = layers
    self.hiddenSize = hiddenSize
    self.heads = heads
  }
}

/// Every choice of a training.
package struct TrainingConfiguration: Sendable {
  package var initialEncoder: InitialEncoder
  /// The most tokens of a text that are read; nil: 256 for a text encoder; for first layers as many as the language model read for the labels.
  package var maxTokens: Int?
  package var parts = DataParts.Sizes()
  package var seed: UInt64 = 0
  /// Of the valuator: its calibration and tests are made in it. A fine-tuning itself is f32; frozen layers are read in it too.
  package var precision = ValuatorPrecision.f32
  package var workers = 1
  package var optimisation = Optimisation()

  /// Where what frozen layers make of the texts is kept while training runs, and whether it stays there; for first layers.
  package var features = (
    path: FileManager.default.temporaryDirectory.path + "/alinfik-\(UUID().uuidString).features",
    isKept: false
  )

  /// Where a fine-tuning that is killed leaves what it goes on with.
  package var checkpoint =
    FileManager.default.temporaryDirectory.path + "/alinfik-\(UUID().uuidString).checkpoint"

  /// Whether the valuator carries the texts it learnt from, for `explain` to show.
  package var includesTexts = false

  /// A truer valuator's directory, and files that it has scored; first layers alone learn from them.
  package var teacher: (directory: String, scored: [String])?

  package init(initialEncoder: InitialEncoder) { self.initialEncoder = initialEncoder }

  /// Removes what an unfinished training would go on with: worth doing when the valuator is safe.
  package func discardUnfinished() {
    let paths = [checkpoint] + (features.isKept ? [] : [features.path])
    for path in paths { try? FileManager.default.removeItem(atPath: path) }
  }
}

/// How the weights are fitted.
package struct Optimisation: Sendable {
  package var epochs = 8
  /// Epochs in which the validation Spearman was clearly worse than its best after which training stops.
  package var patience = 3
  package var batchRows = 16
  /// Of the topmost layer; each layer below has `layerDecay` times that of the one above.
  package var learningRate = 1e-4
  package var layerDecay = 0.9
  package var headLearningRate = 1e-3
  /// The share of steps over which the rate rises; then it falls along half a cosine to zero.
  package var warmUp = 0.1
  package var weightDecay = 0.01
  /// The gradient's norm is cut to this.
  package var clipNorm = 1.0
  package var trainsEmbeddingTables = false
  /// The share of a label's deviation from its source and length that is aimed at; nil: by the rows (`TrainingTargets`).
  package var withinSourceShare: Double?
  /// How often a text is shown as a random part of itself.
  package var cropShare = 0.5

  package init() {}
}
