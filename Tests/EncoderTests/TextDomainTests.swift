import Encoder
import TensorKernels
import TestSupport
import Testing
import Tokenization

@Suite struct TextDomainTests {
  /// Texts of a chain in which every letter is followed by one of three, by the tiny tokenizer's ids (every one a word).
  private func texts(_ count: Int, seed: UInt64) -> [[Int]] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      var letter = Int(generator.next() % 20)
      return (0..<40).map { _ in
        letter = (letter * 3 + Int(generator.next() % 3)) % 20
        return 4 + 2 * letter
      }
    }
  }

  private func domain(_ folder: TemporaryFolder) throws -> (TextDomain, WordStarts) {
    let tokenizer = try tinyTokenizer(in: folder)
    let words = WordStarts(tokenizer, count: tokenizer.vocabularySize)
    let domain = TextDomain(training: texts(200, seed: 1), calibration: texts(100, seed: 2), words: words)
    return (try #require(domain), words)
  }

  @Test func familiarWordsInAnotherOrderAreOutside() throws {
    let folder = try TemporaryFolder()
    let (domain, words) = try domain(folder)
    let same = texts(200, seed: 3)
    let outside = same.count { domain.isOutside($0, words: words) == true }
    #expect(outside <= 24, "5 % of the calibration part is below the threshold: \(outside) of 200")
    var generator = SeededGenerator(seed: 4)
    let shuffled = same.map { text in
      var text = text
      text.shuffle(using: &generator)
      return text
    }
    #expect(shuffled.count { domain.isOutside($0, words: words) == true } >= 190)
  }

  @Test func strangeWordsAreOutside() throws {
    let folder = try TemporaryFolder()
    let (domain, words) = try domain(folder)
    let strange = texts(50, seed: 5).map { $0.map { $0 > 30 ? $0 - 28 : 46 + $0 % 10 } }
    #expect(strange.allSatisfy { domain.isOutside($0, words: words) == true })
    #expect(domain.isOutside([4], words: words) == nil, "one word alone shows nothing")
    #expect(domain.isOutside([Int](repeating: 5, count: 30), words: words) == true, "no word begins in it")
  }

  @Test func fewCalibrationTextsSetNoThreshold() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tinyTokenizer(in: folder)
    let words = WordStarts(tokenizer, count: tokenizer.vocabularySize)
    let training = texts(200, seed: 1)
    #expect(TextDomain(training: training, calibration: texts(18, seed: 2), words: words) == nil)
    #expect(TextDomain(training: training, calibration: texts(19, seed: 2), words: words) != nil)
    #expect(TextDomain(training: training, calibration: (0..<50).map { _ in [4] }, words: words) == nil)
  }

  /// What one text alone has is not carried away.
  @Test func onlyWhatTwoTextsShareIsCounted() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tinyTokenizer(in: folder)
    let words = WordStarts(tokenizer, count: tokenizer.vocabularySize)
    let (common, calibration) = (texts(200, seed: 1), texts(50, seed: 2))
    func domain(_ more: [[Int]]) throws -> TextDomain {
      try #require(TextDomain(training: common + more, calibration: calibration, words: words))
    }
    let secret = [44, 48, 44, 52, 48, 44]
    let strangers = secret.map { $0 + 2 }
    let text = secret + [4]
    #expect(
      try domain([secret]).familiarity(text, words: words)! == domain([strangers]).familiarity(
        text, words: words)!)
    #expect(
      try domain([secret, secret]).familiarity(text, words: words)!
        > domain([strangers, strangers]).familiarity(text, words: words)!)
  }

  @Test func wordsBeginWhereTheVocabularySaysSo() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tinyTokenizer(in: folder)
    let words = WordStarts(tokenizer, count: tokenizer.vocabularySize)
    #expect((0..<4).allSatisfy { !words[$0] }, "special tokens begin none")
    #expect(words[4] && !words[5], "'a' does, '##a' does not")
  }
}
