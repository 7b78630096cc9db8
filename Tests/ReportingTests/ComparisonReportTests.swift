import Foundation
import Reporting
import Testing

@Suite("Comparison report")
struct ComparisonReportTests {
  @Test("a report comes back from its JSON as it was, and equal reports are equal files")
  func roundTrip() throws {
    let report = SyntheticReport.make(count: 60, resamples: 20)
    let json = report.json()
    #expect(try ComparisonReport.read(json: json, path: "report.json") == report)
    #expect(json == SyntheticReport.make(count: 60, resamples: 20).json())
    #expect(String(decoding: json, as: UTF8.self).contains("\"model_sha256\""))
  }
}
