import Foundation

/// The vector space of words as a method of valuing rows: the mean over the targets of the cosine between TF-IDF vectors,
/// `(1 + ln f(w, d)) (1 + ln((1 + N) / (1 + n(w))))` for each word w of a text d, f its times in d and n(w) the rows of N that
/// contain it (scikit-learn's smoothed form with sublinear counts).
package enum TFIDF {
  /// The value of each row for the targets, in the order of the rows, 0 to 1; the document frequencies are those of the rows.
  package static func values(rows: [String], targets: [String]) -> [Double] {
    let documents = rows.map { WordCounts(of: $0) }
    var frequency: [String: Int] = [:]
    for document in documents { for word in document.counts { frequency[word.key, default: 0] += 1 } }
    let count = Double(rows.count)
    func vector(_ document: WordCounts) -> [(key: String, value: Double)] {
      let weights = document.counts.compactMap { word, times -> (key: String, value: Double)? in
        guard let known = frequency[word] else { return nil }
        return (word, (1 + log(Double(times))) * (1 + log((1 + count) / (1 + Double(known)))))
      }
      let length = weights.reduce(0) { $0 + $1.value * $1.value }.squareRoot()
      return weights.map { ($0.key, length > 0 ? $0.value / length : 0) }
    }
    // The mean of cosines is the inner product with the mean direction.
    var mean: [String: Double] = [:]
    for target in targets {
      for (word, weight) in vector(WordCounts(of: target)) {
        mean[word, default: 0] += weight / Double(targets.count)
      }
    }
    return documents.map { vector($0).reduce(0) { $0 + $1.value * (mean[$1.key] ?? 0) } }
  }
}
