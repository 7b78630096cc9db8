import Comparison
import Testing

@Suite("BM25")
struct BM25Tests {
  let rows = [
    "The shuttle flew to orbit, the orbit was low.", "A car has a clutch and a gearbox",
    "Orbit! Orbit? ORBIT...",
    "", "the the the clutch of the shuttle",
  ]
  let targets = ["the shuttle in orbit orbit", "low orbit insertion"]

  @Test("values equal the formula written out in Python")
  func equalsFormula() {
    let expected = [2.4091007535639584, 0.0, 1.5205509648778264, 0.0, 1.095057303315112]
    let values = BM25().values(rows: rows, targets: targets)
    #expect(values.count == expected.count)
    for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-12) }
  }

  @Test("the value over several targets is the mean over each alone")
  func meanOverTargets() {
    let bm25 = BM25()
    let alone = targets.map { bm25.values(rows: rows, targets: [$0]) }
    for (row, value) in bm25.values(rows: rows, targets: targets).enumerated() {
      #expect(abs(value - (alone[0][row] + alone[1][row]) / 2) < 1e-12)
    }
  }

  @Test("length counts only as far as b says, and repetition saturates only as far as k1 says")
  func parameters() {
    let rows = ["orbit", "orbit " + String(repeating: "filler ", count: 50), "orbit orbit orbit", "car"]
    let flat = BM25(k1: 1.2, b: 0).values(rows: rows, targets: ["orbit"])
    #expect(flat[0] == flat[1] && flat[2] > flat[0])
    let present = BM25(k1: 0, b: 0.75).values(rows: rows, targets: ["orbit"])
    #expect(present[0] == present[1] && present[0] == present[2] && present[3] == 0)
    let usual = BM25().values(rows: rows, targets: ["orbit"])
    #expect(usual[0] > usual[1] && usual[2] > usual[0])
  }

  @Test("nothing in common, no words or no targets is worth zero")
  func degenerate() {
    #expect(BM25().values(rows: ["a", "b"], targets: ["c"]) == [0, 0])
    #expect(BM25().values(rows: ["", "..."], targets: ["c"]) == [0, 0])
    #expect(BM25().values(rows: ["a"], targets: []) == [0])
    #expect(BM25().values(rows: [], targets: ["a"]) == [])
  }

  @Test("words are lower-cased runs of letters, marks and digits in any script")
  func words() {
    #expect(Words.of("It's 42°, naïve—ÉCOLE x2!") == ["it", "s", "42", "naïve", "école", "x2"])
    #expect(Words.of("Straße ДОМ नमस्ते") == ["straße", "дом", "नमस्ते"])
    #expect(Words.of("軌道 orbit軌") == ["軌", "道", "orbit", "軌"])
    #expect(Words.of(" \n\t…") == [])
    #expect(Words.of("e\u{301}cole") == Words.of("\u{E9}cole"))
  }
}
