import Formats
import Foundation
import Layers

/// Rotary positions as a configuration describes them.
struct RotaryConfiguration: Sendable, Equatable {
  var theta: Double
  /// The features of a head that turn.
  var width: Int
  var scaling: RotaryScaling

  func embedding(headWidth: Int) -> RotaryEmbedding {
    RotaryEmbedding(headWidth: headWidth, rotatedWidth: width, theta: theta, scaling: scaling)
  }

  static let supportedScalings = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"]

  /// Reads `rope_scaling`, or `rope_parameters` as transformers 5 calls it, of which nil is the plain kind.
  ///
  /// - Parameters:
  ///   - rope: the object itself.
  ///   - config: config.json, some keys of which stand beside it.
  init(
    _ rope: JSONValue?, config: JSONValue, theta: Double, headWidth: Int, contextLength: Int, path: String
  ) throws {
    self.theta = rope?["rope_theta"]?.double ?? theta
    let share = rope?["partial_rotary_factor"]?.double ?? config["partial_rotary_factor"]?.double ?? 1
    guard share > 0, share <= 1, self.theta > 0 else {
      throw ModelError.configuration(
        path, "rope theta \(self.theta) must be positive and 'partial_rotary_factor' \(share) within 0...1")
    }
    width = Int(Double(headWidth) * share)
    guard width >= 2, width % 2 == 0 else {
      throw ModelError.configuration(path, "rotary positions on \(width) features of a head; it must be even")
    }
    let reader = ScalingReader(
      rope: rope ?? .null, config: config, features: width / 2, contextLength: contextLength, path: path)
    scaling = try reader.scaling()
  }
}

/// Reads the kind of scaling and its numbers.
private struct ScalingReader {
  let rope: JSONValue
  let config: JSONValue
  let features: Int
  let contextLength: Int
  let path: String

  func scaling() throws -> RotaryScaling {
    switch (rope["rope_type"] ?? rope["type"])?.string ?? "default" {
    // Dynamic scaling stretches for what lies beyond the context alone, and nothing does.
    case "default", "dynamic": return .none
    case "linear": return .linear(factor: try number("factor"))
    case "llama3":
      let (low, high) = (try number("low_freq_factor"), try number("high_freq_factor"))
      guard low < high else {
        throw refusal("'low_freq_factor' \(low) is not below 'high_freq_factor' \(high)")
      }
      return .llama3(factor: try number("factor"), lowFactor: low, highFactor: high, original: original)
    case "yarn": return try yarn()
    case "longrope", "su": return try longRope()
    case let kind:
      throw refusal(
        "rope scaling of type '\(kind)' is not supported; supported: "
          + RotaryConfiguration.supportedScalings.joined(separator: ", "))
    }
  }

  private func yarn() throws -> RotaryScaling {
    let factor = try number("factor", default: Double(contextLength) / Double(original))
    func magnitude(_ weight: Double) -> Double { factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1 }
    var scale = magnitude(1)
    if let weight = rope["mscale"]?.double, let all = rope["mscale_all_dim"]?.double, weight * all != 0 {
      scale = magnitude(weight) / magnitude(all)
    }
    return .yarn(
      factor: factor, fast: try number("beta_fast", default: 32), slow: try number("beta_slow", default: 1),
      original: original, truncates: rope["truncate"]?.bool ?? true,
      magnitude: try number("attention_factor", default: scale))
  }

  private func longRope() throws -> RotaryScaling {
    let factor = try number("factor", default: Double(contextLength) / Double(original))
    let scale = factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
    return .longRope(
      short: try factors("short_factor"), long: try factors("long_factor"), original: original,
      magnitude: try number("attention_factor", default: scale))
  }

  /// Positions of the context first trained with.
  private var original: Int {
    config["original_max_position_embeddings"]?.int ?? rope["original_max_position_embeddings"]?.int
      ?? contextLength
  }

  private func number(_ key: ByteString, default fallback: Double? = nil) throws -> Double {
    guard let value = rope[key]?.double ?? fallback, value > 0 else {
      throw refusal("rope scaling needs a positive '\(key)'")
    }
    return value
  }

  private func factors(_ key: ByteString) throws -> [Double] {
    let factors = rope[key]?.array?.compactMap(\.double) ?? []
    guard factors.count == features, factors.allSatisfy({ $0 > 0 }) else {
      throw refusal("rope scaling needs \(features) positive numbers in '\(key)', it has \(factors.count)")
    }
    return factors
  }

  private func refusal(_ reason: String) -> ModelError { .configuration(path, reason) }
}
