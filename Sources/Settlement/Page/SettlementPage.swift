import Reporting

extension Settlement {
  /// The settlement as one page of HTML: no script, nothing loaded from elsewhere.
  package func html() -> String {
    var page = SettlementPage(settlement: self)
    return page.markup().source
  }
}

/// Sets a settlement as a page, for the buyer (all providers) or for one provider (its own numbers beside the pool's).
struct SettlementPage: NumberedPage {
  let settlement: Settlement
  var figureCount = 0
  var tableCount = 0

  /// So many providers are drawn and listed, those with the highest value; all are in report.json.
  static let shownProviders = 24

  init(settlement: Settlement) { self.settlement = settlement }

  var facts: SettlementFacts { settlement.facts }
  var shown: [ProviderStatement] { Array(settlement.providers.prefix(Self.shownProviders)) }
  /// The one whom the page is for.
  var single: ProviderStatement? { facts.provider == nil ? nil : settlement.providers.first }
  var money: Currency? { settlement.payment.flatMap { Currency(code: $0.currency) } }

  mutating func markup() -> Markup {
    document(
      title: title, header: header(),
      sections: [summary(), values(), claims(), payment(), details(), caveat(), rules(), run()],
      footer: footer())
  }

  // MARK: Cells

  /// A value with its interval below.
  func cell(_ value: String, _ interval: String?) -> Markup {
    let small: Markup = interval.map { "<small>\($0)</small>" } ?? ""
    return "<td class=\"n\">\(value)\(small)</td>"
  }

  func cell(_ value: String) -> Markup { cell(value, nil) }

  func heads(_ first: String, _ others: [String]) -> Markup {
    let cells = others.map { "<th class=\"n\" scope=\"col\">\($0)</th>" as Markup }
    return "<thead><tr><th scope=\"col\">\(first)</th>\(cells)</tr></thead>"
  }

  func name(_ provider: String) -> Markup { "<th class=\"method\" scope=\"row\"><bdi>\(provider)</bdi></th>" }

  /// What a table of the first providers says of the rest.
  var cut: String {
    let count = settlement.providers.count
    return count > Self.shownProviders
      ? " The first \(Self.shownProviders) of \(count); all are in report.json." : ""
  }
}
