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
      "currency": payment.map { JSONValue($0.currency) } ?? .null,
      "budget_units": payment.map { JSONValue($0.budgetUnits) } ?? .null,
      "unspent_units": payment?.unspentUnits.map { JSONValue($0) } ?? .null,
      "factor": payment?.factor.map { JSONValue($0) } ?? .null,
      "amounts": .object(
        (payment?.amounts ?? []).map { (key: ByteString($0.provider), value: JSONValue($0.units)) }),
    ]
    return String(decoding: brief.serialized(), as: UTF8.self)
  }

  /// The findings for a terminal: the whole, then each of the first providers, then what becomes of the budget.
  package var summary: [String] {
    let lines = providers.prefix(10).enumerated().map { place, provider in
      "\(provider.name): \(counted(provider.counted.rows, "row")), value \(NumberText.value(provider.counted.total)),"
        + " \(NumberText.finePercent(provider.share))" + (payment.map { ", \($0.amounts[place].text)" } ?? "")
    }
    return [whole] + lines + budget
  }

  private func counted(_ count: Int, _ name: String, _ names: String? = nil) -> String {
    "\(count) \(count == 1 ? name : names ?? name + "s")"
  }

  /// The parts add up to the rows.
  private var whole: String {
    var parts = [counted(pool.copies.rows, "copy", "copies")]
    if pool.withoutScore > 0 { parts.append("\(pool.withoutScore) without score") }
    var count = counted(pool.counted.rows, "counts", "count")
    if let outside = pool.outside {
      if facts.countsOutside {
        count += " (\(outside.rows) of them out of domain)"
      } else {
        parts.append("\(outside.rows) out of domain")
      }
    }
    return "\(counted(pool.claimed.rows, "row")) of \(counted(facts.providerCount, "provider")): "
      + (parts + [count]).joined(separator: ", ")
  }

  private var budget: [String] {
    guard let payment, let money = Currency(code: payment.currency) else { return [] }
    var lines: [String] = []
    if let factor = payment.factor, factor < 1 {
      lines.append(
        "the prices come to more than the budget: all were lowered by the factor \(NumberText.significant(factor))"
      )
    }
    if let unspent = payment.unspentUnits {
      lines.append("unspent: \(money.text(unspent)) of \(money.text(payment.budgetUnits))")
    }
    return lines
  }

  /// Why nobody is paid; nil where somebody is, or nothing is divided.
  package var whyNobodyIsPaid: String? {
    guard let payment, payment.unspentUnits == payment.budgetUnits || payment.valueSum == 0 else {
      return nil
    }
    return payment.valueSum == nil
      ? "nobody is paid: by these prices nothing comes to an amount"
      : "nobody is paid: no provider's value is above zero, and the policy '\(payment.policy)' divides by value"
  }
}
