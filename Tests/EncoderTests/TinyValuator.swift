import Encoder
import Foundation
import RankStatistics
import TestSupport
import Tokenization

/// A WordPiece tokenizer of a few words, with a truncation and padding of its own that must not count.
func tinyTokenizer(in folder: TemporaryFolder) throws -> Tokenizer {
  let words =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + "abcdefghijklmnopqrstuvwxyz".flatMap { ["\($0)", "##\($0)"] }
  let vocabulary = words.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
  let special = words.prefix(4).enumerated().map {
    """
    {"id": \($0), "content": "\($1)", "special": true, "single_word": false, "lstrip": false, "rstrip": false, \
    "normalized": false}
    """
  }
  _ = try folder.file(
    "tokenizer.json",
    """
    {"version": "1.0", "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0},
     "padding": {"strategy": {"Fixed": 4}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
       "pad_type_id": 0, "pad_token": "[PAD]"},
     "added_tokens": [\(special.joined(separator: ", "))],
     "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
       "strip_accents": null, "lowercase": true},
     "pre_tokenizer": {"type": "BertPreTokenizer"},
     "post_processor": {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
         {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
       "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
       "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
         "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
     "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
     "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
       "max_input_chars_per_word": 100, "vocab": {\(vocabulary)}}}
    """)
  return try Tokenizer.load(folder.path)
}

/// A valuator of random weights that reads at most 12 tokens.
func tinyValuator(in folder: TemporaryFolder) throws -> Valuator {
  let tokenizer = try tinyTokenizer(in: folder)
  let model = randomModel(vocabulary: tokenizer.vocabularySize)
  let card = ValuatorCard(
    labelKind: "dot", scoreUnit: "nats", modelSHA256: "m", targetSHA256: "t", targetDescription: "a target",
    initialEncoder: "scratch", maxTokens: 12, seed: 7, version: "0",
    calibration: IsotonicMap(inputs: [-1, 1], outputs: [10, 30], outerSlope: 5)!,
    intervals: ScoreIntervals(
      spread: SpreadModel(
        bias: 1, weights: [0.5, 0, 0.25], means: [0, 1, 2], deviations: [1, 1, 0.5])!,
      residuals: ConformalResiduals((1...19).map { Double($0) / 10 })!),
    domain: TextDomain(
      training: [[2, 4, 6, 8, 3], [2, 4, 6, 3]], calibration: (0..<20).map { _ in [2, 4, 6, 3] },
      words: WordStarts(tokenizer, count: tokenizer.vocabularySize)),
    metrics: ["test_spearman": 0.5],
    rows: RowHashes(training: ["a"], validation: ["b"], calibration: ["c"], test: ["d", "e"]))
  return Valuator(model: model, tokenizer: tokenizer, card: card)
}
