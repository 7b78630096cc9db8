import Formats
import RankStatistics
import Records

/// What `alinfik.json` says of a valuator: what its scores mean, and what it has read.
package struct ValuatorCard: Sendable {
  /// The label's kind, as `dot`.
  package var labelKind: String
  /// How the labels' gradients were projected: `none`, `random` or `pca`.
  package var labelProjection: String
  /// The glob of the layers that counted.
  package var labelLayers = "*"
  /// What one unit of `alinfik_score` is.
  package var scoreUnit: String
  package var modelSHA256: String
  package var targetSHA256: String
  package var targetDescription: String
  /// What was trained further, for example the folder's name; `scratch` where nothing was.
  package var initialEncoder: String
  package var maxTokens: Int
  package var seed: UInt64
  package var version: String
  package var precision = ValuatorPrecision.f32
  /// From the head's output to label units; strictly increasing.
  package var calibration: IsotonicMap
  /// Nil where the calibration part was too small.
  package var intervals: ScoreIntervals?
  package var domain: TextDomain?
  /// What it says of the built-in texts; nil where it was saved before there were any.
  package var selfTest: SelfTest?
  /// What was measured on the test part, as the training report gives it.
  package var metrics: JSONValue
  /// SHA-256 of the text of each row, by part.
  package var rows: RowHashes
  /// Sources whose rows were only tested on, sorted.
  package var leftOutSources: [String] = []

  package init(
    labelKind: String, labelProjection: String = "none", scoreUnit: String, modelSHA256: String,
    targetSHA256: String,
    targetDescription: String, initialEncoder: String, maxTokens: Int, seed: UInt64, version: String,
    calibration: IsotonicMap, intervals: ScoreIntervals? = nil, domain: TextDomain? = nil,
    metrics: JSONValue, rows: RowHashes
  ) {
    self.labelKind = labelKind
    self.labelProjection = labelProjection
    self.scoreUnit = scoreUnit
    self.modelSHA256 = modelSHA256
    self.targetSHA256 = targetSHA256
    self.targetDescription = targetDescription
    self.initialEncoder = initialEncoder
    self.maxTokens = maxTokens
    self.seed = seed
    self.version = version
    self.calibration = calibration
    self.intervals = intervals
    self.domain = domain
    self.metrics = metrics
    self.rows = rows
  }
}

/// The rows a valuator has seen, each by the SHA-256 of its text.
package struct RowHashes: Sendable, Equatable {
  package var training: [String]
  package var validation: [String]
  package var calibration: [String]
  package var test: [String]
  /// Rows that it learnt from by a teacher's scores, and those that the teacher had seen.
  package var taught: [String]

  package init(
    training: [String] = [], validation: [String] = [], calibration: [String] = [], test: [String] = [],
    taught: [String] = []
  ) {
    self.training = training
    self.validation = validation
    self.calibration = calibration
    self.test = test
    self.taught = taught
  }

  /// Every row that training, stopping or calibration read; the test rows are not among them.
  package var seen: Set<String> { Set(training + validation + calibration + taught) }

  /// The places of the records whose text is none of the seen.
  package func unseen(_ records: [Record]) -> [Int] {
    let seen = seen
    return records.indices.filter { !seen.contains(FileHash.sha256(records[$0].text.bytes)) }
  }

  fileprivate var json: JSONValue {
    func list(_ hashes: [String]) -> JSONValue { .array(hashes.map { JSONValue($0) }) }
    return [
      "training": list(training), "validation": list(validation), "calibration": list(calibration),
      "test": list(test), "taught": list(taught),
    ]
  }

  fileprivate init?(json: JSONValue?) {
    func list(_ key: ByteString) -> [String]? {
      json?[key]?.array.flatMap { values in
        let hashes = values.compactMap(\.string)
        return hashes.count == values.count ? hashes : nil
      }
    }
    guard let a = list("training"), let b = list("validation"), let c = list("calibration"),
      let d = list("test")
    else { return nil }
    self.init(training: a, validation: b, calibration: c, test: d, taught: list("taught") ?? [])
  }
}

extension ValuatorCard {
  /// What these labels have another of than those that the valuator predicts; nil where they are of one kind.
  package func difference(kind: String, projection: String, targetSHA256: String) -> String? {
    targetSHA256 != self.targetSHA256
      ? "target" : kind != labelKind ? "label kind" : projection != labelProjection ? "projection" : nil
  }
}

extension ValuatorCard {
  static let format = "alinfik-valuator"
  static let schemaVersion = 1
  static let sign = "positive lowers target loss"

  /// The card as `alinfik.json`, with the SHA-256 of every other file.
  func json(encoder: String, files: [(name: String, sha256: String)]) -> JSONValue {
    [
      "format": JSONValue(Self.format), "schema_version": JSONValue(Self.schemaVersion),
      "alinfik_version": JSONValue(version), "encoder": JSONValue(encoder), "sign": JSONValue(Self.sign),
      "score_unit": JSONValue(scoreUnit), "label_kind": JSONValue(labelKind),
      "label_projection": JSONValue(labelProjection), "label_layers": JSONValue(labelLayers),
      "model_sha256": JSONValue(modelSHA256), "target_sha256": JSONValue(targetSHA256),
      "target_description": JSONValue(targetDescription), "initial_encoder": JSONValue(initialEncoder),
      "max_tokens": JSONValue(maxTokens), "seed": JSONValue(String(seed)),
      "precision": JSONValue(precision.rawValue),
      "calibration": [
        "inputs": .array(calibration.inputs.map { JSONValue($0) }),
        "outputs": .array(calibration.outputs.map { JSONValue($0) }),
        "outer_slope": JSONValue(calibration.outerSlope),
      ],
      "intervals": intervals?.json ?? .null, "out_of_domain": domain?.json ?? .null,
      "self_test": selfTest?.json ?? .null, "metrics": metrics,
      "rows": rows.json, "left_out_sources": .array(leftOutSources.map { JSONValue($0) }),
      "files": .object(files.map { (key: ByteString($0.name), value: JSONValue($0.sha256)) }),
    ]
  }

  /// Reads `alinfik.json`; throws `EncoderError.malformed` naming the key at fault.
  init(json: JSONValue, path: String) throws {
    func require<Value>(_ key: String, _ value: Value?) throws -> Value {
      if let value { return value }
      throw EncoderError.malformed(path, "'\(key)' is missing or not what it must be")
    }
    func string(_ key: String) throws -> String { try require(key, json[ByteString(key)]?.string) }
    guard json["format"]?.string == Self.format else {
      throw EncoderError.malformed(path, "this is no valuator: 'format' is not '\(Self.format)'")
    }
    guard json["schema_version"]?.int == Self.schemaVersion else {
      throw EncoderError.unsupported(path, "only schema_version \(Self.schemaVersion) is supported")
    }
    let named = try string("precision")
    guard let precision = ValuatorPrecision(rawValue: named) else {
      throw EncoderError.unsupported(
        path, "precision '\(named)' is not known; known: \(ValuatorPrecision.names)")
    }
    func doubles(_ key: ByteString) -> [Double] {
      json["calibration"]?[key]?.array?.compactMap(\.double) ?? []
    }
    let map = IsotonicMap(
      inputs: doubles("inputs"), outputs: doubles("outputs"),
      outerSlope: json["calibration"]?["outer_slope"]?.double ?? 0)
    var intervals: ScoreIntervals?
    if let given = json["intervals"], !given.isNull {
      intervals = try require("intervals", ScoreIntervals(json: given))
    }
    self.init(
      labelKind: try string("label_kind"),
      labelProjection: json["label_projection"]?.string ?? "none", scoreUnit: try string("score_unit"),
      modelSHA256: try string("model_sha256"), targetSHA256: try string("target_sha256"),
      targetDescription: try string("target_description"), initialEncoder: try string("initial_encoder"),
      maxTokens: try require("max_tokens", json["max_tokens"]?.int.flatMap { $0 > 2 ? $0 : nil }),
      seed: try require("seed", json["seed"]?.string.flatMap { UInt64($0) }),
      version: try string("alinfik_version"), calibration: try require("calibration", map),
      intervals: intervals,
      metrics: json["metrics"] ?? .null, rows: try require("rows", RowHashes(json: json["rows"])))
    self.precision = precision
    selfTest = json["self_test"].flatMap { SelfTest(json: $0) }
    labelLayers = json["label_layers"]?.string ?? "*"
    leftOutSources = json["left_out_sources"]?.array?.compactMap(\.string) ?? []
  }
}
