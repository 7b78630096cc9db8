import Foundation
import RankStatistics
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
    let text = String(decoding: json, as: UTF8.self)
    for key in ["\"model_sha256\"", "\"schema_version\"", "\"alinfik-comparison\"", "\"head_to_head\""] {
      #expect(text.contains(key), "\(key)")
    }
    #expect(throws: ReportingError.self) { try ComparisonReport.read(json: Data("{}".utf8), path: "x.json") }
  }

  @Test("every statistic is the one of RankStatistics on the same rows")
  func statistics() throws {
    let report = SyntheticReport.make(count: 80, resamples: 20)
    let truth = try #require(report.methods.first { $0.name == "LinFiK" }).values.compactMap { $0 }
    let sources = report.rows.map { $0.source }
    #expect(report.fidelity.count == 6)
    for fidelity in report.fidelity {
      let values = try #require(report.methods.first { $0.name == fidelity.method }).values.compactMap { $0 }
      #expect(fidelity.spearman.value == spearman(values, truth))
      #expect(fidelity.withinSource.value == spearmanWithin(values, truth, groups: sources).mean)
      #expect(fidelity.ndcg.value == ndcg(values, truth: truth, fraction: 0.1))
      #expect(fidelity.recall.value == recall(values, truth: truth, fraction: 0.1))
      let interval = try #require(fidelity.spearman.interval)
      #expect(interval.lower <= interval.upper)
      let row = try #require(report.agreement.names.firstIndex(of: fidelity.method))
      #expect(report.agreement.overall[0][row] == fidelity.spearman.value)
      #expect(report.agreement.withinSource[row][0] == fidelity.withinSource.value)
    }
    let order = report.fidelity.compactMap { $0.spearman.value }
    #expect(order == order.sorted(by: >))
    #expect(report.agreement.names.first == "LinFiK")
    #expect(!report.agreement.names.contains("TracIn"))
    let oracle = try #require(report.oracle)
    #expect(oracle.correlations.map { $0.method } == report.agreement.names)
    #expect(oracle.correlations[0].spearman.value! > 0.9)
  }

  @Test("break-even is the preparation over what each row saves, and never where nothing is saved")
  func breakEven() throws {
    func report(secondsPerRow: Double) -> ComparisonReport {
      let values = (0..<20).map(Double.init)
      let cost = Cost(seconds: secondsPerRow * 20, rows: 20, preparationSeconds: 90)
      return .make(
        rows: SyntheticReport.rows(count: 20),
        methods: [
          ComparedMethod(
            name: "teacher", formula: "f", role: .reference, needs: .gradients, values: values,
            cost: Cost(seconds: 20, rows: 20)),
          ComparedMethod(
            name: "student", formula: "f", role: .valuator, needs: .text, values: values, cost: cost),
        ], oracle: nil, facts: SyntheticReport.facts, resamples: 10)
    }
    let known = try #require(report(secondsPerRow: 0.1).breakEven.first)
    #expect(abs(known.rows! - 100) < 1e-9)
    #expect(report(secondsPerRow: 2).breakEven.first?.rows == nil)
    #expect(report(secondsPerRow: 2).summary.joined().contains("never pays back"))
    #expect(report(secondsPerRow: 2).html().contains("never paid back"))
  }

  @Test("the first and last rows are those of the values, in order, and no row is both")
  func extremes() throws {
    let report = SyntheticReport.make(count: 60, resamples: 10)
    for extremes in report.extremes {
      let values = try #require(report.methods.first { $0.name == extremes.method }).values.compactMap { $0 }
      let sorted = values.sorted(by: >)
      #expect(extremes.top.map { $0.value } == Array(sorted.prefix(5)))
      #expect(extremes.bottom.map { $0.value } == Array(sorted.reversed().prefix(5)))
      #expect(extremes.top.allSatisfy { values[$0.row] == $0.value })
    }
    let few = SyntheticReport.make(count: 3, resamples: 10)
    let places = few.extremes[0].top.map { $0.row } + few.extremes[0].bottom.map { $0.row }
    #expect(Set(places).count == 3)
  }

  @Test("values that are not finite are left out, row by row, and a constant method has no correlation")
  func missingValues() throws {
    var values = (0..<30).map(Double.init)
    values[3] = .nan
    values[4] = .infinity
    let report = ComparisonReport.make(
      rows: SyntheticReport.rows(count: 30),
      methods: [
        ComparedMethod(
          name: "truth", formula: "f", role: .reference, needs: .gradients, values: (0..<30).map(Double.init)),
        ComparedMethod(name: "holes", formula: "f", role: .influence, needs: .gradients, values: values),
        ComparedMethod(
          name: "constant", formula: "f", role: .valuator, needs: .text,
          values: [Double](repeating: 0.1, count: 30), cost: Cost(seconds: .nan, rows: 30)),
      ],
      oracle: Oracle(rows: [3, 5, 7], actual: [1, .nan, 3], predicted: [1, 2, .infinity], stepSize: 1),
      facts: SyntheticReport.facts, resamples: 10)
    #expect(report.fidelity.map { $0.method } == ["holes", "constant"])
    #expect(report.fidelity[0].spearman.value == 1)
    #expect(report.fidelity[1].spearman.value == nil && report.fidelity[1].spearman.interval == nil)
    #expect(report.summary[0].contains("ranks nothing"))
    #expect(try ComparisonReport.read(json: report.json(), path: "") == report)
    let page = ParsedPage(report.html())
    #expect(page.problem == nil)
    for word in ["nan", "inf", "Optional", "nil"] {
      #expect(!page.text.split(separator: " ").contains { $0.lowercased() == word.lowercased() }, "\(word)")
    }
  }

  @Test("writing makes the folder, leaves two whole files and nothing else, and says what is wrong")
  func write() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let report = SyntheticReport.make(count: 30, resamples: 10)
    let target = folder.appendingPathComponent("deep/report").path
    try report.write(to: target)
    try report.write(to: target)
    let files = try FileManager.default.contentsOfDirectory(atPath: target).sorted()
    #expect(files == ["report.html", "report.json"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: target + "/report.json")) == report.json())

    let file = folder.appendingPathComponent("file").path
    try Data().write(to: URL(fileURLWithPath: file))
    let error = #expect(throws: ReportingError.self) { try report.write(to: file) }
    #expect("\(error!)".contains(file))
  }
}
