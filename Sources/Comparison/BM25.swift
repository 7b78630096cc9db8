import Foundation

/// Keyword search as a method of valuing rows: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance
/// Framework: BM25 and Beyond", 2009) of every row, taken as a document, for the target texts, taken as queries.
///
/// For a row d, a query q as the set of its words, f(w, d) the times w stands in d, |d| the words of d and n(w)
/// the rows of N that contain w:
/// ```
/// BM25(d, q) = sum over w in q of idf(w) f(w, d) (k1 + 1) / (f(w, d) + k1 (1 - b + b |d| / mean |d|))
/// idf(w)     = ln(1 + (N - n(w) + 0.5) / (n(w) + 0.5))
/// ```
/// The one inside the logarithm keeps a word of more than half the rows from counting against a row. The value
/// of a row is the mean over the queries; because each query is a set, that is one pass with the share of
/// queries that contain a word as the word's weight.
package struct BM25: Sendable {
  package var k1: Double
  package var b: Double

  package init(k1: Double = 1.2, b: Double = 0.75) {
    precondition(k1 >= 0 && b >= 0 && b <= 1, "BM25: k1 is at least 0 and b in 0...1, not \(k1) and \(b)")
    self.k1 = k1
    self.b = b
  }

  /// The value of each row for the targets, in the order of the rows; the document frequencies and the mean
  /// length are those of the rows. Zero where a row shares no word with any target, and everywhere without
  /// targets.
  package func values(rows: [String], targets: [String]) -> [Double] {
    let documents = rows.map { WordCounts(of: $0) }
    let weights = weights(of: documents, targets: targets)
    let total = documents.reduce(0) { $0 + $1.length }
    guard total > 0 else { return rows.map { _ in 0 } }
    let meanLength = Double(total) / Double(rows.count)
    return documents.map { document in
      let norm = k1 * (1 - b + b * Double(document.length) / meanLength)
      // Added in the order of the words, so that the bits do not depend on the hash seed.
      return document.counts.reduce(0) { sum, word in
        guard let weight = weights[word.key] else { return sum }
        let frequency = Double(word.value)
        return sum + weight * frequency * (k1 + 1) / (frequency + norm)
      }
    }
  }

  /// The inverse document frequency of every word of the targets, times the share of the targets that have it.
  private func weights(of documents: [WordCounts], targets: [String]) -> [String: Double] {
    var shares: [String: Double] = [:]
    for target in targets {
      for word in Set(Words.of(target)) { shares[word, default: 0] += 1 / Double(targets.count) }
    }
    var documentFrequency: [String: Int] = [:]
    for document in documents {
      for word in document.counts where shares[word.key] != nil {
        documentFrequency[word.key, default: 0] += 1
      }
    }
    let count = Double(documents.count)
    return documentFrequency.reduce(into: [:]) { weights, word in
      let containing = Double(word.value)
      weights[word.key] = shares[word.key]! * log(1 + (count - containing + 0.5) / (containing + 0.5))
    }
  }
}
