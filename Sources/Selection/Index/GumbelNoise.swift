import Duplicates
import Foundation
import TensorKernels

/// Noise that turns a ranking into sampling without replacement: the k largest of `score / T + G`, each G of the standard Gumbel
/// distribution, are k draws in which a row's chance goes with `exp(score / T)` among those that are left (Gumbel-top-k; Kool, van Hoof &
/// Welling 2019). The same order is that of `score + T G`.
///
/// A row's noise follows from the seed and its text alone, so it is the same wherever the row stands, and copies share it.
struct GumbelNoise: Sendable {
  let temperature: Double
  let seed: UInt64

  func callAsFunction(_ hash: ContentHash) -> Double {
    var generator = SeededGenerator(seed: seed ^ hash.high)
    generator = SeededGenerator(seed: generator.next() ^ hash.low)
    // Above 0 and below 1, or a logarithm would be infinite.
    let uniform = (Double(generator.next() >> 12) + 0.5) * 0x1p-52
    return -temperature * log(-log(uniform))
  }
}
