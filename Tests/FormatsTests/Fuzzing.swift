import Formats

/// A small generator with a seed (splitmix64), so that what fails once fails again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

extension [UInt8] {
  /// The bytes with a few of them changed, removed, added or cut off.
  func mutated(using generator: inout SeededGenerator) -> [UInt8] {
    var result = self
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !result.isEmpty {
      let place = Int.random(in: 0..<result.count, using: &generator)
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: result[place] = UInt8.random(in: 0...255, using: &generator)
      case 1: result[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 2: result.remove(at: place)
      case 3: result.insert([0, 0xFF, 0x7F, 0x80, 0x22][place % 5], at: place)
      default: result.removeLast(result.count - place)
      }
    }
    return result
  }
}

/// The text of an error that was expected, empty where none was thrown.
func message(_ error: FormatError?) -> String { error?.description ?? "" }
