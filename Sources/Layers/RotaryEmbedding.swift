import CKernels
import Foundation
import TensorKernels

/// How the frequencies of rotary positions are stretched to contexts longer than those first trained with.
package enum RotaryScaling: Sendable, Equatable {
  case none
  /// Every frequency divided by one factor (position interpolation, Chen et al. 2023).
  case linear(factor: Double)
  /// Llama 3.1: long wavelengths divided by the factor, short ones kept, a ramp between them. A wavelength is long
  /// above `original / lowFactor` and short below `original / highFactor`.
  case llama3(factor: Double, lowFactor: Double, highFactor: Double, original: Int)
  /// YaRN (Peng et al. 2023): features that turn more than `fast` times within the original context are kept, those
  /// that turn less than `slow` times divided by the factor, with a ramp over the features between.
  case yarn(factor: Double, fast: Double, slow: Double, original: Int, truncates: Bool, magnitude: Double)
  /// LongRoPE (Ding et al. 2024): each frequency divided by a factor of its own; sequences longer than the original
  /// context have other factors than those within it.
  case longRope(short: [Double], long: [Double], original: Int, magnitude: Double)
}

/// Rotary position embedding (Su et al. 2021) by the Hugging Face convention: feature i of a head turns with
/// feature i + r/2, by the angle `position * theta^(-2i/r)`, r the features of a head that turn. The others stay.
package struct RotaryEmbedding: Sendable {
  private let headWidth: Int
  private let frequencies: [Double]
  /// Those of sequences with more positions than `count`.
  private let beyond: (count: Int, frequencies: [Double])?
  /// Sines and cosines are multiplied by it.
  private let magnitude: Double

  /// For heads of width `headWidth`, of which the first `rotatedWidth` features turn (an even number; all where none
  /// is given).
  package init(headWidth: Int, rotatedWidth: Int? = nil, theta: Double, scaling: RotaryScaling = .none) {
    let width = rotatedWidth ?? headWidth
    precondition(
      width % 2 == 0 && width <= headWidth, "RotaryEmbedding: \(width) features of heads \(headWidth) wide")
    self.headWidth = headWidth
    let plain = (0..<width / 2).map { pow(theta, -2 * Double($0) / Double(width)) }
    switch scaling {
    case .longRope(let short, let long, let original, let magnitude):
      frequencies = zip(plain, short).map { $0 / $1 }
      beyond = (original, zip(plain, long).map { $0 / $1 })
      self.magnitude = magnitude
    case .yarn(_, _, _, _, _, let magnitude):
      frequencies = scaling.scaled(plain, theta: theta)
      beyond = nil
      self.magnitude = magnitude
    default:
      frequencies = scaling.scaled(plain, theta: theta)
      beyond = nil
      magnitude = 1
    }
  }

  /// The sines and cosines of the first `positions` positions. Made for each batch, by its longest sequence: a model
  /// may claim a context that nobody uses.
  package func angles(positions: Int) -> RotaryAngles {
    let long = beyond.flatMap { positions > $0.count ? ($0.count, table($0.frequencies, positions)) : nil }
    return RotaryAngles(headWidth: headWidth, short: table(frequencies, positions), long: long)
  }

  private func table(_ frequencies: [Double], _ positions: Int) -> RotaryAngles.Table {
    let cosine = Matrix(rows: positions, columns: frequencies.count)
    let sine = Matrix(rows: positions, columns: frequencies.count)
    for position in 0..<positions {
      for (i, frequency) in frequencies.enumerated() {
        cosine[position, i] = Float(magnitude * cos(Double(position) * frequency))
        sine[position, i] = Float(magnitude * sin(Double(position) * frequency))
      }
    }
    return RotaryAngles.Table(cosine: cosine.view, sine: sine.view)
  }
}

extension RotaryScaling {
  /// The frequencies `theta^(-2i/r)` after scaling. LongRoPE's are two sets and made by who holds them.
  fileprivate func scaled(_ plain: [Double], theta: Double) -> [Double] {
    switch self {
    case .none, .longRope: plain
    case .linear(let factor): plain.map { $0 / factor }
    case .llama3(let factor, let low, let high, let original):
      plain.map { frequency in
        // How often the feature turns within the original context, between `low` (0) and `high` (1).
        let turns = Double(original) * frequency / (2 * .pi)
        let kept = min(1, max(0, (turns - low) / (high - low)))
        return frequency * (kept + (1 - kept) / factor)
      }
    case .yarn(let factor, let fast, let slow, let original, let truncates, _):
      Self.yarn(plain, theta, factor, fast, slow, original, truncates)
    }
  }

  private static func yarn(
    _ plain: [Double], _ theta: Double, _ factor: Double, _ fast: Double, _ slow: Double, _ original: Int,
    _ truncates: Bool
  ) -> [Double] {
    let width = Double(2 * plain.count)
    /// The feature that turns so often within the original context.
    func feature(turning turns: Double) -> Double {
      width * log(Double(original) / (turns * 2 * .pi)) / (2 * log(theta))
    }
    var (first, last) = (feature(turning: fast), feature(turning: slow))
    if truncates { (first, last) = (first.rounded(.down), last.rounded(.up)) }
    (first, last) = (max(first, 0), min(last, width - 1))
    if first == last { last += 0.001 }
    return plain.enumerated().map { index, frequency in
      let divided = min(1, max(0, (Double(index) - first) / (last - first)))
      return frequency * (1 - divided + divided / factor)
    }
  }
}

/// Rotary angles by position.
package struct RotaryAngles: Sendable {
  /// Each positions x r/2.
  fileprivate struct Table: Sendable {
    let cosine: MatrixView
    let sine: MatrixView
  }

  fileprivate let headWidth: Int
  fileprivate let short: Table
  /// For sequences of more than `beyond` positions.
  fileprivate let long: (beyond: Int, table: Table)?

  /// Turns each head of each row of x in place, positions counted from each sequence's start.
  ///
  /// x: T x heads d, or with `headStride` a view that begins with the first head, the next one so many features on.
  package func rotate(_ x: Matrix, offsets: [Int], headStride: Int? = nil) {
    apply(x, offsets: offsets, headStride: headStride ?? headWidth, direction: 1)
  }

  /// Backward of `rotate`: its transpose, which turns back.
  package func rotateBack(_ x: Matrix, offsets: [Int], headStride: Int? = nil) {
    apply(x, offsets: offsets, headStride: headStride ?? headWidth, direction: -1)
  }

  private func apply(_ x: Matrix, offsets: [Int], headStride: Int, direction: Float) {
    let half = short.cosine.columns
    let heads = (x.columns - headWidth) / headStride + 1
    for (start, end) in zip(offsets, offsets.dropFirst()) {
      precondition(
        end - start <= short.cosine.rows,
        "RotaryAngles: \(end - start) positions, tables for \(short.cosine.rows)")
      let table = if let long, end - start > long.beyond { long.table } else { short }
      func turn(_ place: UnsafeMutablePointer<Float>, heads: Int) {
        ck_rope(
          place, x.stride, table.cosine.pointer, table.sine.pointer, direction, end - start, heads, half)
      }
      let rows = x.pointer + start * x.stride
      if headStride == 2 * half {
        turn(rows, heads: heads)
      } else {
        for head in 0..<heads { turn(rows + head * headStride, heads: 1) }
      }
    }
  }
}
