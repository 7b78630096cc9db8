import Encoder
import Formats
import RankStatistics
import Records
import TensorKernels
import TestSupport
import Tokenization

/// A valuator of random weights that reads letters, at most 24 of them, with points and distributions where rows for them are given.
func letterValuator(
  in folder: TemporaryFolder, seed: UInt64 = 3, precision: ValuatorPrecision = .f32, learned: [Record] = [],
  kept: [Record] = []
) throws -> Valuator {
  let letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?-'\"()".map { String($0) }
  let vocabulary = (["<unk>", "▁"] + letters).enumerated().map { place, token in
    "\(String(decoding: JSONValue(token).serialized(), as: UTF8.self)): \(place)"
  }
  _ = try folder.file(
    "tokenizer.json",
    """
    {"version": "1.0", "added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"},
     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
     "pre_tokenizer": null, "post_processor": null, "decoder": null,
     "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": false, "byte_fallback": false,
       "vocab": {\(vocabulary.joined(separator: ", "))}, "merges": []}}
    """)
  let tokenizer = try Tokenizer.load(folder.path)
  let model = EncoderModel(
    configuration: EncoderConfiguration(
      vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 1, heads: 2, intermediateSize: 24,
      maxPositions: 24))
  var generator = SeededGenerator(seed: seed)
  for place in model.layout.places {
    let base = place.name.hasSuffix("LayerNorm.weight") ? 1.0 : 0
    let matrix = model.parameters.matrix(place)
    for index in 0..<place.count { matrix.pointer[index] = Float(base + 0.3 * generator.normal()) }
  }
  let words = WordStarts(tokenizer, count: model.vocabularySize)
  var card = ValuatorCard(
    labelKind: "dot", scoreUnit: "nats", modelSHA256: "m", targetSHA256: "t", targetDescription: "a target",
    initialEncoder: "scratch", maxTokens: 24, seed: 7, version: "0",
    calibration: IsotonicMap(inputs: [-1, 0, 1], outputs: [10, 15, 30], outerSlope: 5)!,
    intervals: ScoreIntervals(
      spread: SpreadModel(bias: 1, weights: [0.5, 0.1, 0.25], means: [0, 1, 2], deviations: [1, 1, 0.5])!,
      residuals: ConformalResiduals((1...19).map { Double($0) / 10 })!),
    domain: TextDomain(
      training: [[2, 1, 6, 8, 3], [2, 1, 6, 3]], calibration: (0..<20).map { _ in [2, 1, 6, 3] }, words: words
    ),
    metrics: .null, rows: RowHashes(training: ["a"]))
  card.precision = precision
  let plain = Valuator(model: model.at(precision), tokenizer: tokenizer, card: card)
  guard !learned.isEmpty else { return plain }
  func embeddings(_ records: [Record]) throws -> (outputs: [Double], tokens: [Int], points: MatrixView) {
    let texts = try plain.encoding.encodeAll(records, workers: 1)
    let features = try model.features(texts, workers: 1, workspaces: EncoderWorkspaces(1))
    return (
      model.outputs(of: features, workers: 1).map { Double($0) }, texts.map(\.ids.count),
      model.embeddings(of: features)
    )
  }
  let rows = LabelledRows(
    rows: learned.map { LabelledRows.Row(id: "\($0.id)", source: "", label: 0, text: nil) },
    embeddings: try embeddings(learned).points, seed: 1)!
  let known = try embeddings(kept)
  return Valuator(
    model: model, tokenizer: tokenizer, card: card, rows: rows,
    distributions: TrainingDistributions(
      outputs: known.outputs, tokens: known.tokens, points: rows.points(of: known.points)))
}

/// Texts of a few made words, which follow from the seed.
func madeTexts(
  _ count: Int, seed: UInt64, words: [String] = ["moon", "sun", "a", "cat", "river", "and", "tree"]
)
  -> [String]
{
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in
    (0..<Int.random(in: 2...6, using: &generator)).map { _ in words.randomElement(using: &generator)! }
      .joined(separator: " ")
  }
}
