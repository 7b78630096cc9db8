import Formats

extension LabelFile {
  /// The records of some rows, as they were labelled; nil in a file that holds texts alone. Throws where one is no record of
  /// its row's text.
  package func records(of rows: some Sequence<Int>) throws -> [Record]? {
    guard let records else { return nil }
    let parser = RecordParser()
    return try rows.map { row in
      let record = try? parser.parse(records[row].bytes, file: path, line: row)
      guard let record, record.text == texts[row] else {
        throw FormatError.malformed(
          place: path, reason: "row \(row) of /records is no record of the row's text")
      }
      return record
    }
  }
}
