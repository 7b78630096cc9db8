import Formats
import Foundation
import Reporting

extension Settlement {
  /// Writes report.json and report.html into a folder that is there.
  package func write(to directory: String) throws(FormatError) {
    try OutputFile.write(json(), to: directory + "/report.json")
    try OutputFile.write(Array(html().utf8), to: directory + "/report.html")
  }

  /// As JSON: snake-case keys in alphabetical order, so that equal settlements are equal files.
  package func json() -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    do {
      return Array(try encoder.encode(self)) + [0x0A]
    } catch {
      preconditionFailure("Settlement holds only what JSON can hold: \(error)")
    }
  }

  /// What `--json` prints.
  package func briefJSON(output: String) -> String {
    let brief: JSONValue = [
      "output": JSONValue(output), "providers": JSONValue(facts.providerCount),
      "rows": JSONValue(pool.claimed.rows), "counted": JSONValue(pool.counted.rows),
      "copies": JSONValue(pool.copies.rows), "value": JSONValue(pool.counted.total),
      "budget_units": payment.map { JSONValue($0.budgetUnits) } ?? .null,
      "amounts": .object(
        (payment?.amounts ?? []).map { (key: ByteString($0.provider), value: JSONValue($0.units)) }),
    ]
    return String(decoding: brief.serialized(), as: UTF8.self)
  }

  /// The findings for a terminal: the whole, then each of the first providers.
  package var summary: [String] {
    let outside = pool.outside.map { ", \($0.rows) out of domain" } ?? ""
    let whole =
      "\(pool.claimed.rows) rows of \(facts.providerCount) providers: \(pool.copies.rows) copies\(outside),"
      + " \(pool.counted.rows) count"
    let amounts = Dictionary((payment?.amounts ?? []).map { ($0.provider, $0.text) }) { first, _ in first }
    let lines = providers.prefix(10).map { provider in
      let amount = amounts[provider.name].map { ", \($0)" } ?? ""
      return "\(provider.name): \(provider.counted.rows) rows,"
        + " value \(NumberText.significant(provider.counted.total)), \(NumberText.finePercent(provider.share))\(amount)"
    }
    return [whole] + lines
  }
}
