import Formats
import Records
import TensorKernels

/// What a valuator said of some texts when it was saved: whether it still says so, wherever it has been taken.
///
/// A valuator carries no texts of samples or targets, so these are built in and mean nothing; alinfik.json has the tokens' hash and the
/// head's outputs.
package struct SelfTest: Sendable, Equatable {
  /// Of the texts below: others are another number.
  package static let version = 1
  package let tokensSHA256: String
  package let outputs: [Float]
  /// That the outputs were computed with.
  package let instructionSet: String

  /// How far a valuator is from what it said.
  package struct Deviation: Sendable, Equatable {
    package let hasSameTokens: Bool
    package let isSameBits: Bool
    /// The largest difference of an output, as a share of the range of the calibration part's outputs.
    package let largest: Double
  }

  /// English and not, prose, numbers, code, a single letter, one longer than most valuators read.
  private static let texts: [String] = [
    "The quick brown fox jumps over the lazy dog.",
    "a",
    "Nine ships left the harbour at dawn; by noon the wind had turned, and only two of them came back.",
    "How many apples are left when three of seven are eaten? Four, for 7 - 3 = 4.",
    "To bake bread: mix flour, water, salt and yeast. Wait. Knead. Wait again. Bake for forty minutes at 220 degrees.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
    "NO. NO! NO? \"Yes,\" she said, (perhaps) too loudly -- and then: nothing...",
    "0 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
    "Der Mond ist aufgegangen \u{2014} und \u{FC}ber den Wiesen steht ein wei\u{DF}er Nebel.",
    "\u{421}\u{43D}\u{435}\u{433} \u{448}\u{451}\u{43B} \u{432}\u{441}\u{44E} \u{43D}\u{43E}\u{447}\u{44C}. \u{96EA}\u{304C}\u{964D}\u{308B}\u{3002} \u{1F328}",
    "{\"name\": \"nobody\", \"age\": null, \"tags\": [\"x\", \"y\"], \"url\": \"https://example.org/?q=1\"}",
    "   spaces,\ttabs\tand\n\n\nempty lines   ",
    "The committee met on Tuesday. It was agreed that the minutes of the last meeting were correct, and that nothing else was.",
    "x y z x y z x y z x y z x y z x y z x y z x y z",
    "If every row is true, no row is false. No row is false. Therefore nothing follows that we did not know.",
    (1...60).map { "Line \($0) says that line \($0 + 1) is longer than it is." }.joined(separator: " "),
  ]

  static var records: [Record] { texts.map { .text(ByteString($0)) } }
}

extension Valuator {
  /// What is said of the built-in texts now; nil where an output is no number.
  func selfTest() throws -> SelfTest? {
    let encoded = try encoding.encodeAll(SelfTest.records, workers: 1)
    let outputs = try scores(of: encoded).map(\.raw)
    guard outputs.allSatisfy(\.isFinite) else { return nil }
    var hash = HashStream()
    for text in encoded { hash.update(numbers: [Int32(text.ids.count)] + text.ids.map { Int32($0) }) }
    return SelfTest(
      tokensSHA256: hash.hexDigest(), outputs: outputs, instructionSet: vectorInstructionSet)
  }

  /// How far it is from what it said when it was saved; nil where that is not known. Infinitely far where an output is no number.
  package func selfTestDeviation() throws -> SelfTest.Deviation? {
    guard let then = card.selfTest else { return nil }
    guard let now = try selfTest() else {
      return SelfTest.Deviation(hasSameTokens: true, isSameBits: false, largest: .infinity)
    }
    let largest = zip(then.outputs, now.outputs).map { abs(Double($0) - Double($1)) }.max() ?? 0
    return SelfTest.Deviation(
      hasSameTokens: then.tokensSHA256 == now.tokensSHA256, isSameBits: then.outputs == now.outputs,
      largest: largest == 0 ? 0 : largest / outputRange)
  }

  /// How far an output may be from what another processor gives, as a share of `outputRange`: some times what instruction sets were
  /// seen to differ by (experiments/verify-tolerance). Where factors are rounded, a difference grows from layer to layer.
  package var tolerance: Double {
    if card.precision == .f32 { return 1e-4 }
    let isLayerless = (model as? FirstLayersModel)?.reader.layers.configuration.layers == 0
    return isLayerless ? 1e-3 : 0.1
  }

  /// The range of the head's outputs on the calibration part; where that has none, on the built-in texts.
  package var outputRange: Double {
    func range(_ values: [Double]) -> Double { (values.max() ?? 0) - (values.min() ?? 0) }
    let calibrated = range(card.calibration.inputs)
    return calibrated > 0 ? calibrated : range((card.selfTest?.outputs ?? []).map { Double($0) })
  }
}

extension SelfTest {
  var json: JSONValue {
    [
      "texts": JSONValue(Self.version), "instruction_set": JSONValue(instructionSet),
      "tokens_sha256": JSONValue(tokensSHA256), "outputs": .array(outputs.map { JSONValue($0) }),
    ]
  }

  /// Nil where the object is not what `json` gives. Texts of another version are another program's: there is no test then.
  init?(json: JSONValue) {
    let outputs = json["outputs"]?.array?.compactMap(\.double) ?? []
    guard json["texts"]?.int == Self.version, outputs.count == Self.texts.count,
      let hash = json["tokens_sha256"]?.string, let set = json["instruction_set"]?.string
    else { return nil }
    self.init(tokensSHA256: hash, outputs: outputs.map { Float($0) }, instructionSet: set)
  }
}
