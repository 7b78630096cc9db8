import Formats
import Records
import Settlement
import TestSupport

/// Scored records made by hand, and what a settlement says of them.
struct ScoredRows {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A line as `alinfik score` writes it.
  static func line(
    _ id: String, _ source: String, _ score: Double, tokens: Int = 1000, text: String? = nil,
    ood: Bool? = false,
    more: String = ""
  ) -> String {
    let domain = ood.map { "\($0)" } ?? "null"
    let text = text ?? "\(id) says one thing, and \(source) \(String(id.reversed())) says \(id) another."
    return #"{"id": "\#(id)", "source": "\#(source)", "text": "\#(text)", "alinfik_score": \#(score), "#
      + #""alinfik_ood": \#(domain), "alinfik_tokens": \#(tokens), "alinfik_truncated": false\#(more)}"#
      + "\n"
  }

  func settle(_ parts: [String]..., workers: Int = 1, change: (inout SettlementOptions) -> Void = { _ in })
    throws -> Settlement
  {
    var options = SettlementOptions()
    options.duplicates = .exact
    options.resamples = 200
    change(&options)
    let paths = try parts.enumerated().map { try folder.file("part-\($0.offset).jsonl", $0.element.joined()) }
    return try SettlementRun.settle(paths, records: RecordOptions(), options, workers: workers)
  }

  /// Many rows of three providers, some of them copies of one another's.
  static func many(_ count: Int = 300) -> [String] {
    (0..<count).map { place in
      let provider = ["north", "south", "meadow"][place % 3]
      // Every tenth row has the text of the one before it, which another provider brought.
      let told = place % 10 == 9 ? place - 1 : place
      let text =
        "Row \(told) tells of \(told * told) matters, of \(told % 17) birds and of \(told % 23) kings."
      return line(
        "r\(place)", provider, Double((place * 37) % 101) / 10 - 2, tokens: 50 + place % 90, text: text,
        ood: place % 13 == 5)
    }
  }
}

extension Settlement {
  subscript(_ provider: String) -> ProviderStatement? { providers.first { $0.name == provider } }
}
