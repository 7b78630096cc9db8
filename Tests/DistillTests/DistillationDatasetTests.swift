import Distill
import Formats
import Foundation
import Records
import Testing

@Suite struct DistillationDatasetTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "alinfik-\(UUID().uuidString)")

  /// A label file of these records; `texts` nil for theirs.
  private func labels(
    _ name: String, _ records: [Record], texts: [ByteString]? = nil, hasRecords: Bool = true
  ) throws -> String {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let path = folder.appendingPathComponent(name).path
    let shape = LabelShape(rows: records.count)
    let journal = try LabelJournal(path: path + ".partial", configuration: ["kind": "dot"], shape: shape)
    for row in records.indices {
      try journal.append(
        LabelRow(
          index: row, label: Float(row), loss: 1, gradientNorm: .nan, tokenCount: 3, truncated: false,
          labelsPerTarget: [], projectedGradient: nil))
    }
    try LabelFile.write(
      to: path,
      attributes: LabelAttributes(
        alinfikVersion: "0", kind: "dot", modelSHA256: "m", targetSHA256: "t", targetDescription: "", seed: 1,
        maxTokens: 192, command: ""),
      columns: LabelTexts(
        ids: records.indices.map { ByteString("\(name) \($0)") }, sources: records.map { _ in "s" },
        texts: texts ?? records.map(\.text),
        records: hasRecords ? records.map { ByteString($0.contentJSON.serialized()) } : nil),
      journal: journal)
    return path
  }

  private let records: [Record] = [
    .text("a\n\"b\""), .exchange(prompt: "é", completion: ""), .exchange(prompt: "p\n", completion: "c"),
  ]

  @Test func recordsComeBackWithTheirParts() throws {
    let messages = try RecordParser().parse(
      Array(
        #"{"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}]}"#.utf8),
      file: "f", line: 1)
    let all = records + [messages]
    let dataset = try DistillationDataset(labelFiles: [labels("a.h5", all)])
    #expect(dataset.rows.map(\.record.content) == all.map(\.content))
    #expect(dataset.rows.map(\.label) == [0, 1, 2, 3])
    #expect(dataset.maxTokens == 192 && dataset.fileWithoutRecords == nil)
  }

  @Test func textsAloneAreReadWholeAndNamed() throws {
    let paths = [try labels("a.h5", records), try labels("b.h5", records, hasRecords: false)]
    let dataset = try DistillationDataset(labelFiles: paths)
    #expect(dataset.fileWithoutRecords == paths[1])
    #expect(dataset.rows[5].record.content == .text("p\n\nc"))
    var configuration = TrainingConfiguration(initialEncoder: .firstLayers(0, model: "none"))
    configuration.workers = 1
    #expect(throws: DistillError.self) {
      try Trainer(configuration: configuration, dataset: dataset).run(version: "test")
    }
  }

  @Test func aRecordOfAnotherTextIsRefused() throws {
    let path = try labels("a.h5", records, texts: [records[0].text, "another", records[2].text])
    #expect(
      throws: FormatError.malformed(place: path, reason: "row 1 of /records is no record of the row's text")
    ) {
      try DistillationDataset(labelFiles: [path])
    }
  }
}
