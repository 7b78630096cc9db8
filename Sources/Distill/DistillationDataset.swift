import Formats
import Records

/// Labelled texts, and what the labels are.
package struct DistillationDataset: Sendable {
  package struct Row: Sendable {
    package var id: String
    package var record: Record
    package var label: Double
    package var source: String
    /// Against each target alone; empty where that was not kept.
    package var labelsPerTarget: [Float] = []
    /// Of the text.
    package var sha256: String

    package init(id: String = "", record: Record, label: Double, source: String) {
      self.id = id
      self.record = record
      self.label = label
      self.source = source
      sha256 = FileHash.sha256(record.text.bytes)
    }
  }

  package var rows: [Row]
  /// A label file that holds texts alone, so that their records' parts cannot be told.
  package var fileWithoutRecords: String?
  /// Of `labelsPerTarget`; empty where the files do not all have them.
  package var targetIDs: [String] = []
  /// How much of a record the language model read for its label; nil for all.
  package var maxTokens: Int?
  package var kind: String
  /// `none`, `random` or `pca`.
  package var projection: String
  /// The glob of the layers that counted.
  package var layers = "*"
  package var modelSHA256: String
  package var targetSHA256: String
  package var targetDescription: String

  package init(
    rows: [Row], fileWithoutRecords: String? = nil, maxTokens: Int? = nil, kind: String,
    projection: String = "none", modelSHA256: String = "",
    targetSHA256: String = "",
    targetDescription: String = ""
  ) {
    self.rows = rows
    self.fileWithoutRecords = fileWithoutRecords
    self.maxTokens = maxTokens
    self.kind = kind
    self.projection = projection
    self.modelSHA256 = modelSHA256
    self.targetSHA256 = targetSHA256
    self.targetDescription = targetDescription
  }
}

extension DistillationDataset {
  /// The rows of one or more label files, in order. Throws where they were not made with the same kind, model,
  /// target and options, for then their numbers do not mean the same.
  package init(labelFiles paths: [String]) throws {
    let files = try paths.map { try LabelFile(path: $0) }
    guard let first = files.first else { throw DistillError.options("no label file was given") }
    for file in files.dropFirst() {
      let (a, b) = (first.attributes, file.attributes)
      for (what, one, other) in [
        ("kind", a.kind, b.kind), ("model", a.modelSHA256, b.modelSHA256),
        ("target", a.targetSHA256, b.targetSHA256),
        ("layers", a.extra["layers"] ?? "", b.extra["layers"] ?? ""),
        ("projection", "\(a.projection) \(a.rank) \(a.damping)", "\(b.projection) \(b.rank) \(b.damping)"),
        ("projection", a.extra["projection_sha256"] ?? "", b.extra["projection_sha256"] ?? ""),
        ("precision", a.precision, b.precision), ("max_tokens", "\(a.maxTokens ?? 0)", "\(b.maxTokens ?? 0)"),
      ] where one != other {
        throw DistillError.different(file: file.path, other: first.path, what: what)
      }
    }
    var places: [ByteString: (file: String, text: ByteString)] = [:]
    for file in files {
      for (id, text) in zip(file.ids, file.texts) {
        if let other = places.updateValue((file.path, text), forKey: id), other.text == text {
          throw DistillError.badLabels(
            file.path, "the row '\(id)' is in \(other.file) too; give each row once")
        }
      }
    }
    let targetIDs = Self.sharedTargets(files)
    let rows = try files.flatMap { file in
      let perTarget = targetIDs.isEmpty ? [] : try file.labelsPerTarget(rows: 0..<file.count)
      return try Self.rows(of: file).enumerated().map { place, row in
        var row = row
        row.labelsPerTarget = Array(perTarget[place * targetIDs.count..<(place + 1) * targetIDs.count])
        return row
      }
    }
    self.init(
      rows: rows, fileWithoutRecords: files.first { $0.records == nil }?.path,
      maxTokens: first.attributes.maxTokens, kind: first.attributes.kind,
      projection: first.attributes.projection,
      modelSHA256: first.attributes.modelSHA256,
      targetSHA256: first.attributes.targetSHA256, targetDescription: first.attributes.targetDescription)
    self.targetIDs = targetIDs
    layers = first.attributes.extra["layers"] ?? "*"
  }

  /// The targets that every file has labels for, one by one.
  private static func sharedTargets(_ files: [LabelFile]) -> [String] {
    guard let ids = files[0].columns.targetIDs, ids.count == files[0].shape.targets,
      files.allSatisfy({ $0.columns.targetIDs == ids && $0.shape.targets == ids.count })
    else { return [] }
    return ids.map(\.string)
  }

  private static func rows(of file: LabelFile) throws -> [Row] {
    let records = try file.records(of: file.labels.indices) ?? file.texts.map { .text($0) }
    return records.enumerated().map { row, record in
      Row(
        id: file.ids[row].string, record: record, label: Double(file.labels[row]),
        source: file.sources[row].string)
    }
  }
}
