import LanguageModels
import TensorKernels

/// Settings that are the same wherever labels are made.
package enum LabelDefaults {
  /// Memory that one worker's activations may take, so that two of them and all that is fixed stay within 400 MB
  /// beside a model's weights and one gradient.
  private static let workerBytes = 180 << 20
  /// Where products of tiles are so fast that reading and rounding a weight takes longer than using it for 200 tokens.
  private static let tileWorkerBytes = 4 * workerBytes

  /// Tokens packed into one batch: as many as a worker's memory holds, for a weight is read once a batch; beyond 1024
  /// that costs nothing any more.
  package static func batchTokens(for model: some CausalLanguageModel) -> Int {
    let bytes = model.precision.multipliesTiles ? tileWorkerBytes : workerBytes
    return stride(from: 1024, to: 128, by: -16).first { model.activationBytes(tokens: $0) <= bytes } ?? 128
  }

  /// lambda as a share of a layer's mean eigenvalue.
  package static let dampingFactor = 0.1
  /// Adam's eps and beta2, as PyTorch's.
  package static let epsilon = 1e-8
  package static let beta2 = 0.999
  /// A LoGra rank that keeps a 135M model's projected gradient under 512 KB in f16.
  package static let rank = 32
  /// Samples that principal components are taken from, beside the targets: in 192 tokens each, 20 times as many
  /// vectors as a side has dimensions.
  package static let principalSamples = 128
}
