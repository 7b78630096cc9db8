/// Settings that are the same wherever labels are made.
package enum LabelDefaults {
  /// Tokens packed into one batch: enough for the products to run at full speed, few enough that a worker's
  /// activations stay small (0.7 MB a token for a 135M model).
  package static let batchTokens = 256
  /// lambda as a share of a layer's mean eigenvalue.
  package static let dampingFactor = 0.1
  /// A LoGra rank that keeps a 135M model's projected gradient under 512 KB in f16.
  package static let rank = 32
  /// Samples that principal components are taken from, beside the targets: in 192 tokens each, 20 times as many
  /// vectors as a side has dimensions.
  package static let principalSamples = 128
}
