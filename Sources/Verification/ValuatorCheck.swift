import Encoder
import Formats

/// Whether a valuator's directory is what was saved: files, signature, format, and what it says of the built-in texts.
package struct ValuatorCheck: Sendable {
  package enum Outcome: String, Sendable {
    case passed, failed
    /// There is nothing to check it by.
    case unknown
  }

  package struct Finding: Sendable, Equatable {
    package let subject: String
    package let outcome: Outcome
    package let words: String
  }

  package let directory: String
  package private(set) var findings: [Finding] = []
  /// Files that no hash vouches for.
  package let unlisted: [String]

  /// - Parameter key: whose signature is asked for; nil: none is.
  /// - Throws: where there is no valuator to check.
  package init(directory: String, key: VerifyingKey?) throws {
    self.directory = directory
    let files = try ValuatorFiles(directory: directory)
    unlisted = try files.unlisted()
    findings = [try Self.hashes(files), try Self.signature(files, key)]
    guard findings[0].outcome == .passed else { return }
    do {
      let valuator = try Valuator.load(directory: directory)
      findings.append(
        Finding(subject: "format", outcome: .passed, words: "it can be read: \(valuator.model.summary)"))
      findings.append(try Self.selfTest(valuator))
    } catch {
      findings.append(Finding(subject: "format", outcome: .failed, words: "\(error)"))
    }
  }

  package var failures: [Finding] { findings.filter { $0.outcome == .failed } }

  private static func hashes(_ files: ValuatorFiles) throws -> Finding {
    let (missing, changed) = try files.differences()
    let complaints = [
      ("missing", missing), ("changed since it was saved", changed),
      ("not saved with it but read, remove it", files.unlistedButRead),
    ].filter { !$1.isEmpty }.map { "\($0): \($1.joined(separator: ", "))" }
    return Finding(
      subject: "files", outcome: complaints.isEmpty ? .passed : .failed,
      words: complaints.isEmpty
        ? "\(files.listed.count) files have the hashes that \(ValuatorFiles.cardName) names"
        : complaints.joined(separator: "; ") + " (copy the directory again, or train anew)")
  }

  private static func signature(_ files: ValuatorFiles, _ key: VerifyingKey?) throws -> Finding {
    guard let key else {
      let words =
        ValuatorSignature.isSigned(files)
        ? "it is signed; --public-key says by whom"
        : "it is not signed: hashes show that the files belong together, not where they come from"
      return Finding(subject: "signature", outcome: .unknown, words: words)
    }
    if let complaint = try ValuatorSignature.complaint(files, by: key) {
      return Finding(subject: "signature", outcome: .failed, words: complaint)
    }
    return Finding(
      subject: "signature", outcome: .passed, words: "signed by the key \(key.fingerprint.prefix(16))")
  }

  private static func selfTest(_ valuator: Valuator) throws -> Finding {
    func finding(_ outcome: Outcome, _ words: String) -> Finding {
      Finding(subject: "self-test", outcome: outcome, words: words)
    }
    guard let deviation = try valuator.selfTestDeviation() else {
      return finding(
        .unknown,
        "it was saved without one, by an earlier version: `alinfik quantize` with its own precision adds one")
    }
    guard deviation.hasSameTokens else {
      return finding(.failed, "the built-in texts become other tokens than when it was saved")
    }
    if deviation.isSameBits {
      return finding(.passed, "the same scores to the last bit as when it was saved")
    }
    let tolerance = valuator.tolerance
    let words = "scores differ from those when it was saved by \(deviation.largest.inShort) of their range"
    return deviation.largest <= tolerance
      ? finding(.passed, "\(words), as instruction sets may (\(tolerance.inShort))")
      : finding(
        .failed,
        "\(words), more than instruction sets do (\(tolerance.inShort)): do not trust scores made here")
  }

  package var json: JSONValue {
    [
      "valuator": JSONValue(directory), "passed": JSONValue(failures.isEmpty),
      "checks": .object(
        findings.map { finding in
          (
            key: ByteString(finding.subject),
            value: ["outcome": JSONValue(finding.outcome.rawValue), "words": JSONValue(finding.words)]
          )
        }), "unlisted": .array(unlisted.map { JSONValue($0) }),
    ]
  }
}
