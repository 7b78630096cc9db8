import Comparison
import Testing

@Suite("TF-IDF")
struct TFIDFTests {
  @Test("values equal scikit-learn's")
  func equalsScikitLearn() {
    let rows = [
      "The shuttle flew to orbit, the orbit was low.", "A car has a clutch and a gearbox",
      "Orbit! Orbit? ORBIT...", "", "the the the clutch of the shuttle",
    ]
    // TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+") fitted on the rows; mean over both targets of the cosine.
    let expected = [0.6336692922218364, 0, 0.6977041645564905, 0, 0.2526143743698029]
    let values = TFIDF.values(rows: rows, targets: ["the shuttle in orbit orbit", "low orbit insertion"])
    for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-12) }
    #expect(TFIDF.values(rows: rows, targets: ["nothing known"]) == [0, 0, 0, 0, 0])
  }
}
