import Foundation

/// SplitMix64 (Steele, Lea & Flood 2014): a small generator whose stream depends on the seed alone.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  /// What a generator begun with it goes on with.
  package private(set) var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// Goes on where another generator stood.
  package init(state: UInt64) { self.state = state }

  /// A stream of its own for each name, so that what one part draws never shifts another's draws.
  package init(seed: UInt64, stream: String) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in stream.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    var mixer = SeededGenerator(seed: seed ^ hash)
    state = mixer.next() ^ hash
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Uniform in [0, 1).
  package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Standard normal (Box & Muller 1958, one of the pair).
  package mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * .pi * uniform())
  }
}
