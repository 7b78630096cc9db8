import Reporting
import Testing

/// The summary is held to the numbers: a valuator that loses is said to lose.
@Suite("Summary")
struct SummaryTests {
  /// Rows of two sources, a truth, and methods that follow it with chosen noise.
  private func report(
    valuator: (Double, Double) -> Double, baseline: (Double, Double) -> Double, oracleFollows: Bool = true,
    halfNoise: Double? = nil
  ) -> ComparisonReport {
    var noise = SyntheticReport.Noise(state: 5)
    let count = 200
    let rows = (0..<count).map { ComparedRow(id: "\($0)", source: $0 % 2 == 0 ? "even" : "odd") }
    let truth = rows.map { ($0.source == "odd" ? 2 : 0) + noise.next() }
    func method(
      _ name: String, _ role: ComparedMethod.Role, _ value: (Double, Double) -> Double
    ) -> ComparedMethod {
      ComparedMethod(
        name: name, formula: "f", role: role, needs: .text, values: truth.map { value($0, noise.next()) })
    }
    let stepped = Array(0..<32)
    let halves = halfNoise.map { spread in
      TargetHalves(
        rows: stepped, first: stepped.map { truth[$0] + spread * noise.next() },
        second: stepped.map { truth[$0] + spread * noise.next() })
    }
    return .make(
      rows: rows,
      methods: [
        ComparedMethod(name: "LinFiK", formula: "f", role: .reference, needs: .gradients, values: truth),
        method("ALinFiK", .valuator, valuator), method("length", .baseline, baseline),
      ],
      halves: halves,
      oracle: Oracle(
        rows: stepped, actual: stepped.map { oracleFollows ? truth[$0] : noise.next() },
        predicted: stepped.map { truth[$0] }, stepSize: 1e-4), facts: SyntheticReport.facts, resamples: 100)
  }

  @Test("a valuator ahead of the baseline is said to be ahead")
  func ahead() {
    let summary = report(valuator: { $0 + 0.3 * $1 }, baseline: { $1 }).summary.joined(separator: " ")
    #expect(summary.contains("ALinFiK is ahead of it"))
    #expect(summary.contains("its order means something inside a source too"))
    #expect(summary.contains("the reference holds"))
  }

  @Test("fidelity is a share of what halves of the targets agree on, and nothing where they do not")
  func ceiling() throws {
    let sharp = report(valuator: { $0 + 0.3 * $1 }, baseline: { $1 }, halfNoise: 0.05)
    let most = try #require(sharp.ceiling?.spearman.value)
    let ours = try #require(sharp.fidelity.first { $0.method == "ALinFiK" }?.spearman.value)
    #expect(most > 0.97 && sharp.ceiling?.rows == 32)
    let share = Int((100 * ours / most).rounded())
    let said = sharp.summary.joined(separator: " ")
    #expect(said.contains("is \(share) % of that of the halves"), "\(share): \(said)")
    #expect(said.contains("would agree with these to about \(String(format: "%.2f", 2 * most / (1 + most)))"))
    let blurred = report(valuator: { $0 + 0.3 * $1 }, baseline: { $1 }, halfNoise: 20)
    #expect(blurred.summary.joined().contains("so few targets hardly say"))
    let between = report(valuator: { $0 + 0.3 * $1 }, baseline: { $1 }, halfNoise: 0.8).summary.joined()
    #expect(between.contains("would agree with these") && !between.contains("of that of the halves"))
    #expect(report(valuator: { $0 + $1 }, baseline: { $1 }).ceiling == nil)
  }

  @Test("a valuator behind the baseline is said not to be worth its training")
  func behind() {
    let report = report(valuator: { $0 + 3 * $1 }, baseline: { $0 + 0.2 * $1 })
    let summary = report.summary.joined(separator: " ")
    #expect(summary.contains("length ranks better than ALinFiK"))
    #expect(summary.contains("not worth its training"))
    #expect(report.headToHead[0].spearman.value! < 0)
  }

  @Test("a difference that chance explains is said to be one")
  func even() {
    let summary = report(valuator: { $0 + $1 }, baseline: { $0 + $1 }).summary.joined(separator: " ")
    #expect(summary.contains("length ranks as well as ALinFiK"))
  }

  @Test("a baseline that ranks the other way round counts with the size of its correlation")
  func reversed() {
    let report = report(valuator: { $0 + 3 * $1 }, baseline: { -$0 + 0.2 * $1 })
    #expect(report.summary.joined().contains("length read backwards (low values first) ranks better"))
    #expect(report.headToHead[0].isReversed)
    #expect(report.caveats.joined().contains("mirror image"))
  }

  @Test("a valuator that only sorts the sources is said to know the source, not the row")
  func sourcesOnly() {
    let guess = report(valuator: { $1 + 0 * $0 }, baseline: { $1 + 0.1 * $0 })
    #expect(guess.summary[0].contains("no better than chance"))
    var noise = SyntheticReport.Noise(state: 9)
    let sorter = SyntheticReport.make(count: 200, resamples: 50)
    let values = sorter.rows.map { row in
      SyntheticReport.sources.first { $0.name == row.source }!.worth + 1e-3 * noise.next()
    }
    let reference = sorter.methods[0]
    let only = ComparisonReport.make(
      rows: sorter.rows,
      methods: [
        reference,
        ComparedMethod(name: "ALinFiK", formula: "f", role: .valuator, needs: .text, values: values),
      ], oracle: nil, facts: sorter.facts, resamples: 50)
    #expect(only.summary.joined().contains("mostly which source a row comes from"))
  }

  @Test("a reference that the real step contradicts is not to be trusted")
  func oracle() {
    let report = report(valuator: { $0 + $1 }, baseline: { $1 }, oracleFollows: false)
    #expect(report.summary.joined().contains("do not trust the reference"))
  }

  @Test("without a valuator or without a reference the summary says that")
  func absent() {
    let full = SyntheticReport.make(count: 40, resamples: 10)
    let noValuator = ComparisonReport.make(
      rows: full.rows, methods: full.methods.filter { $0.role != .valuator }, oracle: nil, facts: full.facts,
      resamples: 10)
    #expect(noValuator.summary[0].contains("No valuator was given"))
    #expect(noValuator.summary.last!.contains("only 40 rows"))
    let noReference = ComparisonReport.make(
      rows: full.rows, methods: full.methods.filter { $0.role != .reference }, oracle: nil, facts: full.facts,
      resamples: 10)
    #expect(noReference.summary.count == 1)
    #expect(noReference.summary[0].contains("No reference label was computed"))
    #expect(noReference.fidelity.isEmpty)
    for report in [noValuator, noReference] { #expect(ParsedPage(report.html()).problem == nil) }
  }
}
