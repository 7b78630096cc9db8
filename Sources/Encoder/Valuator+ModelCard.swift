import Formats

extension Valuator {
  /// README.md as a model card: what the numbers mean, for whom, how true they were on the test rows.
  var modelCard: String {
    let metrics = card.metrics.members ?? []
    let rows = metrics.compactMap { member in
      member.value.double.map { "| \(member.key) | \(String(rounding: $0)) |" }
    }
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
      | target | \(card.targetDescription.isEmpty ? "(not described)" : card.targetDescription) |
      | language model (SHA-256) | `\(card.modelSHA256)` |
      | target (SHA-256) | `\(card.targetSHA256)` |
      | encoder | \(model.summary), begun from \(card.initialEncoder) |
      | reads | the first \(card.maxTokens) tokens |
      | rows | \(card.rows.training.count) training, \(card.rows.validation.count) validation, \
      \(card.rows.calibration.count) calibration, \(card.rows.test.count) test\
      \(card.rows.taught.isEmpty ? "" : "; others by a teacher's scores") |

      ## How true it is, on rows it never saw

      | measure | value |
      |---|---|
      \(rows.joined(separator: "\n"))
      \(labelCurve)
      \(intervalsNote)
      \(weightsNote)
      ## Use

      ```
      alinfik score THIS_FOLDER incoming.jsonl.gz > scored.jsonl
      ```

      \(pythonUse)
      Do not use it to judge texts by people, for another model, or for another target than the one above without
      measuring again.

      """
  }
}

extension Valuator {
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

  private var weightsNote: String {
    guard let layers = model as? FirstLayersModel else { return "" }
    let part = layers.reader.readsPredictions ? "all of" : "a part of"
    return "\nThis folder contains \(part) the language model's weights.\n"
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
  /// Four decimals, as a table shows them.
  init(rounding value: Double) {
    let scaled = (value * 10_000).rounded() / 10_000
    self = "\(scaled)"
  }
}
