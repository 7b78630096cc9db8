import Formats

extension Valuator {
  /// README.md as a model card: what the numbers mean, for whom, how true they were on the test rows.
  var modelCard: String {
    return """
      ---
      \(model is EncoderModel ? "library_name: sentence-transformers\n" : "")tags:
      - alinfik
      - data-valuation
      pipeline_tag: text-classification
      ---
      # A valuator made by alinfik

      It reads a text and says what the text is worth to one language model and one target: the predicted change
      of the target's loss if the model trained on the text for one step. **Positive means that training on it
      lowers the target's loss.** The number is about one text at a time; it knows nothing of duplicates, so sums
      of scores count copies twice.

      | | |
      |---|---|
      | label it was taught | `\(card.labelKind)` |
      | unit of the score | \(card.scoreUnit) |
      | target | \(card.targetDescription.isEmpty ? "(not described)" : card.targetDescription.inTable) |
      | language model (SHA-256) | `\(card.modelSHA256)` |
      | target (SHA-256) | `\(card.targetSHA256)` |
      | encoder | \(model.summary), begun from \(card.initialEncoder.inTable) |
      | reads | the first \(card.maxTokens) tokens |
      | rows | \(card.rows.training.count) training, \(card.rows.validation.count) validation, \
      \(card.rows.calibration.count) calibration, \(card.rows.test.count) test\
      \(card.rows.taught.isEmpty ? "" : "; others by a teacher's scores") |
      | left out of training | \(card.leftOutSources.isEmpty ? "no source" : card.leftOutSources.joined(separator: ", ").inTable) |

      \(truth)
      \(labelCurve)
      \(intervalsNote)
      \(weightsNote)
      ## Use

      ```
      alinfik verify THIS_FOLDER
      alinfik score THIS_FOLDER incoming.jsonl.gz > scored.jsonl
      ```

      \(pythonUse)
      Do not use it to judge texts by people, for another model, or for another target than the one above without
      measuring again.

      """
  }
}

extension Valuator {
  private static let measures: [(key: ByteString, words: String)] = [
    ("test_spearman", "Spearman correlation with the labels"),
    ("test_spearman_low", "its 95 % interval from"), ("test_spearman_high", "to"),
    ("test_spearman_within_source", "mean Spearman within each source"),
    ("test_ndcg_at_10_percent", "NDCG of the best tenth"),
    ("test_recall_at_10_percent", "share of the true best tenth that is found"),
    ("test_coverage_at_90_percent", "share of labels that the intervals hold (0.9 is meant)"),
    ("test_out_of_domain", "share called out of domain (0.05 is meant)"),
  ]
  /// Below this many test rows their measures are mostly chance.
  private static let fewTestRows = 100

  private func cell(_ value: JSONValue?) -> String { value?.double.map { String(rounding: $0) } ?? "-" }

  /// How it did on the test rows, beside simpler ways to rank them.
  private var truth: String {
    let count = card.rows.test.count
    let trained =
      "It was trained in \(cell(card.metrics["training_seconds"])) s; on the rows that chose its settings its Spearman was "
      + "\(cell(card.metrics["validation_spearman"]))."
    guard count > 0 else {
      return "## How true it is\n\nNot known: no row was kept for testing. \(trained)\n"
    }
    let rows = Self.measures.compactMap { key, words in
      card.metrics[key]?.double.map { "| \(words) | \(String(rounding: $0)) |" }
    }
    let caveat =
      count < Self.fewTestRows
      ? "**Only \(count) rows were tested: these numbers are mostly chance.**\n\n" : ""
    let leftOut =
      card.leftOutSources.isEmpty
      ? ""
      : "Among them are all rows of the sources left out of training, for which intervals do not hold.\n\n"
    return """
      ## How true it is, on \(count) rows it never saw

      \(caveat)\(leftOut)| measure | value |
      |---|---|
      \(rows.joined(separator: "\n"))

      \(baselines)\(trained)

      """
  }

  private var baselines: String {
    guard let methods = card.metrics["baselines"]?.members, !methods.isEmpty else { return "" }
    let own = card.metrics["test_spearman"]?.double ?? -1
    let better = methods.filter { ($0.value["spearman"]?.double ?? -1) > own }.map(\.key.string)
    let warning =
      better.isEmpty ? "" : "**On these rows \(better.joined(separator: ", ")) ranked better than it.**\n\n"
    let rows = methods.map { method, found in
      "| \(method.string) | \(cell(found["spearman"])) | \(cell(found["within_source"])) | \(cell(found["recall_at_10_percent"])) |"
    }
    return """
      \(warning)| simpler ways to rank the same rows | Spearman | within source | best tenth found |
      |---|---|---|---|
      \(rows.joined(separator: "\n"))

      """ + "\n"
  }

  private var intervalsNote: String {
    var notes: [String] = []
    if card.intervals != nil {
      notes.append(
        "`alinfik_low` and `alinfik_high` have the label between them for 9 of 10 texts like those of training."
      )
    } else {
      notes.append("It gives no intervals: it was calibrated on too few rows.")
    }
    if card.domain != nil {
      notes.append(
        "Where `alinfik_ood` is true the text is of another kind, and neither they nor the score can be relied on."
      )
    } else {
      notes.append("It cannot tell texts of another kind (`alinfik_ood`).")
    }
    return notes.joined(separator: "\n")
  }

  /// What fewer labels would have given.
  private var labelCurve: String {
    let points = (card.metrics["label_curve"]?.array ?? []).compactMap { point -> String? in
      guard let labels = point["labels"]?.int else { return nil }
      func cell(_ key: ByteString) -> String { point[key]?.double.map { String(rounding: $0) } ?? "-" }
      return "| \(labels) | \(cell("spearman")) | \(cell("within_source")) |"
    }
    guard !points.isEmpty else { return "" }
    return """

      | labels learnt from | test Spearman | within source |
      |---|---|---|
      \(points.joined(separator: "\n"))

      """
  }

  /// What the folder carries away beside the encoder.
  private var weightsNote: String {
    var notes: [String] = []
    if let layers = model as? FirstLayersModel {
      let part = layers.reader.readsPredictions ? "all of" : "a part of"
      notes.append("This folder contains \(part) the language model's weights.")
    }
    if rows?.rows.contains(where: { $0.text != nil }) == true {
      notes.append("**It contains the texts of the rows that it was trained on** (rows.jsonl).")
    } else if rows != nil {
      notes.append(
        "It contains ids, sources and labels of the rows that it was trained on (rows.jsonl), not their texts."
      )
    }
    return notes.isEmpty ? "" : "\n" + notes.joined(separator: "\n") + "\n"
  }

  /// Only what sentence-transformers can load is said to.
  private var pythonUse: String {
    guard model is EncoderModel else { return "" }
    return """
      In Python it gives the head's own output (what `--raw` gives), the same order without the unit:

      ```python
      from sentence_transformers import SentenceTransformer
      scores = SentenceTransformer("THIS_FOLDER").encode(texts)[:, 0]
      ```

      """
  }
}

extension String {
  /// As text in a cell of a Markdown table, whatever it holds.
  fileprivate var inTable: String {
    reduce(into: "") { text, character in
      if "\\`*_[]<>|#".contains(character) { text.append("\\") }
      text.append(character.isNewline ? " " : character)
    }
  }

  /// Four decimals, as a table shows them.
  init(rounding value: Double) {
    let scaled = (value * 10_000).rounded() / 10_000
    self = "\(scaled)"
  }
}
