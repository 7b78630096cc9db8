import Formats

/// Labelled texts, and what the labels are.
package struct DistillationDataset: Sendable {
  package struct Row: Sendable {
    package var text: [UInt8]
    package var label: Double
    package var source: String
    /// Of the text.
    package var sha256: String

    package init(text: [UInt8], label: Double, source: String) {
      self.text = text
      self.label = label
      self.source = source
      sha256 = FileHash.sha256(text)
    }
  }

  package var rows: [Row]
  package var kind: String
  package var modelSHA256: String
  package var targetSHA256: String
  package var targetDescription: String

  package init(
    rows: [Row], kind: String, modelSHA256: String = "", targetSHA256: String = "",
    targetDescription: String = ""
  ) {
    self.rows = rows
    self.kind = kind
    self.modelSHA256 = modelSHA256
    self.targetSHA256 = targetSHA256
    self.targetDescription = targetDescription
  }
}
