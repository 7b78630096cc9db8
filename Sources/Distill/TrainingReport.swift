import Formats
import Foundation
import RankStatistics

/// What was measured of a trained valuator on rows it never saw, beside simpler methods.
package struct TrainingReport: Sendable {
  package struct Rows: Sendable, Equatable {
    package var training: Int
    package var validation: Int
    package var calibration: Int
    package var test: Int
    /// Of all rows: longer than the encoder reads.
    package var truncated: Int
  }

  /// One way to rank the test rows.
  package struct Method: Sendable {
    package var name: String
    package var spearman: Double?
    package var interval: Interval?
    package var withinSource: WithinGroupCorrelation
    package var ndcg: Double?
    package var recall: Double?
  }

  /// How the intervals held on the test rows.
  package struct Intervals: Sendable {
    package var coverage: Double
    package var held: Double
    package var bySource: [(name: String, held: Double)]
    /// In label units; and that of intervals around the mean label of a row's source.
    package var meanWidth: Double
    package var sourceMeanWidth: Double?
    /// The share of test rows called out of domain, and of each source's.
    package var outside: (share: Double, bySource: [(name: String, share: Double)])?
  }

  /// How true a valuator of so many labels is on the test rows.
  package struct CurvePoint: Sendable {
    package var labels: Int
    package var spearman: Double?
    package var withinSource: Double?
  }

  package var rows: Rows
  package var epochs: Int
  package var keptEpoch: Int
  package var validationSpearman: Double
  /// The valuator first.
  package var methods: [Method]
  /// By rising labels, the valuator itself last; empty where it was not measured.
  package var curve: [CurvePoint]
  /// Nil where there are no test rows or too few calibration rows.
  package var intervals: Intervals?
  package var warnings: [String]
  package var seconds: Double
  package var seed: UInt64
  package var kind: String
  package var withinSourceShare: Double
  package var settings: Optimisation

  /// For alinfik.json and the model card.
  package var metrics: JSONValue {
    guard let valuator = methods.first else { return .null }
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "test_spearman": number(valuator.spearman),
      "test_spearman_low": number(valuator.interval?.lower),
      "test_spearman_high": number(valuator.interval?.upper),
      "test_spearman_within_source": number(valuator.withinSource.mean),
      "test_ndcg_at_10_percent": number(valuator.ndcg),
      "test_recall_at_10_percent": number(valuator.recall),
      "test_coverage_at_90_percent": number(intervals?.held),
      "test_out_of_domain": number(intervals?.outside?.share),
      "validation_spearman": number(validationSpearman), "training_seconds": JSONValue(seconds),
      "label_curve": curveJSON,
      "baselines": .object(
        methods.dropFirst().map { method in
          (
            key: ByteString(method.name),
            value: [
              "spearman": number(method.spearman), "within_source": number(method.withinSource.mean),
              "recall_at_10_percent": number(method.recall),
            ]
          )
        }),
    ]
  }

  private var curveJSON: JSONValue {
    .array(
      curve.map { point in
        [
          "labels": JSONValue(point.labels), "spearman": point.spearman.map { JSONValue($0) } ?? .null,
          "within_source": point.withinSource.map { JSONValue($0) } ?? .null,
        ]
      })
  }

  /// Everything, as the summary object that `--json` prints.
  package var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    let methods = self.methods.map { method -> JSONValue in
      let groups = method.withinSource.groups.map {
        (key: ByteString($0.name), value: number($0.value))
      }
      return [
        "name": JSONValue(method.name), "spearman": number(method.spearman),
        "spearman_interval": method.interval.map { [JSONValue($0.lower), JSONValue($0.upper)] } ?? .null,
        "spearman_within_source": number(method.withinSource.mean), "by_source": .object(groups),
        "ndcg_at_10_percent": number(method.ndcg), "recall_at_10_percent": number(method.recall),
      ]
    }
    return [
      "kind": JSONValue(kind), "seed": JSONValue(String(seed)), "seconds": JSONValue(seconds),
      "epochs": JSONValue(epochs), "kept_epoch": JSONValue(keptEpoch),
      "validation_spearman": JSONValue(validationSpearman),
      "rows": [
        "training": JSONValue(rows.training), "validation": JSONValue(rows.validation),
        "calibration": JSONValue(rows.calibration), "test": JSONValue(rows.test),
        "truncated": JSONValue(rows.truncated),
      ],
      "settings": [
        "epochs": JSONValue(settings.epochs), "patience": JSONValue(settings.patience),
        "batch_rows": JSONValue(settings.batchRows), "learning_rate": JSONValue(settings.learningRate),
        "head_learning_rate": JSONValue(settings.headLearningRate),
        "within_source_share": JSONValue(withinSourceShare), "crop_share": JSONValue(settings.cropShare),
      ],
      "test": .array(methods), "label_curve": curveJSON, "intervals": intervals.map(Self.json) ?? .null,
      "warnings": .array(warnings.map { JSONValue($0) }),
    ]
  }

  private static func json(_ intervals: Intervals) -> JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "coverage": JSONValue(intervals.coverage), "held": JSONValue(intervals.held),
      "held_by_source": .object(
        intervals.bySource.map { (key: ByteString($0.name), value: JSONValue($0.held)) }),
      "mean_width": JSONValue(intervals.meanWidth), "source_mean_width": number(intervals.sourceMeanWidth),
      "out_of_domain": number(intervals.outside?.share),
      "out_of_domain_by_source": .object(
        (intervals.outside?.bySource ?? []).map { (key: ByteString($0.name), value: JSONValue($0.share)) }),
    ]
  }

  /// The table that `train` prints.
  package var table: String {
    let width = max(24, (methods.map(\.name.count).max() ?? 0) + 2)
    func cell(_ value: Double?) -> String {
      let text = value.map { String(format: "%.3f", $0) } ?? "-"
      return String(repeating: " ", count: max(0, 15 - text.count)) + text
    }
    func head(_ text: String) -> String { String(repeating: " ", count: max(0, 15 - text.count)) + text }
    var lines = [
      "test: \(rows.test) rows held out, label '\(kind)'",
      "".padded(width) + ["Spearman", "within source", "NDCG@10%", "recall@10%"].map(head).joined(),
    ]
    for method in methods {
      let cells = [method.spearman, method.withinSource.mean, method.ndcg, method.recall].map(cell)
      lines.append(method.name.padded(width) + cells.joined())
    }
    if let valuator = methods.first {
      if let interval = valuator.interval {
        let (lower, upper) = (cell(interval.lower), cell(interval.upper))
        lines.append("95 % interval of Spearman".padded(width) + lower + upper)
      }
      let groups = valuator.withinSource.groups.map { group in
        "\(group.name) \(group.value.map { String(format: "%.2f", $0) } ?? "-") (\(group.count))"
      }
      if !groups.isEmpty { lines.append("within each source: " + groups.joined(separator: ", ")) }
    }
    if let intervals {
      let sources = intervals.bySource.map { $0.name + String(format: " %.2f", $0.held) }
      lines.append(
        String(format: "intervals at %.2f: held in %.3f (", intervals.coverage, intervals.held)
          + sources.joined(separator: ", ") + ")")
      let relative = intervals.sourceMeanWidth.map {
        String(format: ", %.2f of what the mean of a row's source needs", intervals.meanWidth / $0)
      }
      let outside = intervals.outside.map { String(format: "; %.1f %% called out of domain", 100 * $0.share) }
      lines.append(
        String(format: "mean width %.4g", intervals.meanWidth) + (relative ?? "") + (outside ?? ""))
    }
    return lines.joined(separator: "\n")
  }
}

extension String {
  fileprivate func padded(_ width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
