import Core
import Evaluating
import JSON
import TestSupport
import Testing

/// Answers against expected ones, by rouge-score's and SQuAD's own code: see `Fixtures/measures/make_measures.py`.
@Suite struct AnswerMatchTests {
  static let reference = Result { try parseJSONFile(fixturesFolder + "/measures/measures.json") }

  @Test func matchesAreTheReference() throws {
    let texts = try #require(try Self.reference.get()["texts"]?.array)
    #expect(texts.count > 150)
    for text in texts {
      let answer = try #require(text["answer"]?.string)
      let expected = try #require(text["reference"]?.string)
      let place: Comment = "\(answer) | \(expected)"
      #expect(AnswerMatch.normalisedWords(answer) == text["words"]?.array?.compactMap(\.string), place)
      #expect(AnswerMatch.isExact(answer, expected) == text["exact"]?.bool, place)
      #expect(AnswerMatch.isNormalisedExact(answer, expected) == text["normalised"]?.bool, place)
      #expect(abs(AnswerMatch.tokenF1(answer, expected) - (text["f1"]?.double ?? .nan)) < 1e-12, place)
      let rouge = AnswerMatch.rougeL(answer, expected, .ascii)
      #expect(abs(rouge - (text["rouge_l"]?.double ?? .nan)) < 1e-6, place)
    }
  }

  /// The longest common subsequence, by trying every subsequence of the shorter side.
  @Test func rougeLIsTheLongestCommonSubsequence() {
    func plain(_ a: [String], _ b: [String]) -> Int {
      (0..<1 << a.count).reduce(0) { best, mask in
        let chosen = a.indices.filter { mask >> $0 & 1 == 1 }.map { a[$0] }
        var rest = chosen[...]
        for word in b where word == rest.first { rest = rest.dropFirst() }
        return rest.isEmpty ? max(best, chosen.count) : best
      }
    }
    var random = SeededGenerator(seed: 3)
    for _ in 0..<60 {
      let a = (0..<1 + random.below(8)).map { _ in "w\(random.below(4))" }
      let b = (0..<1 + random.below(12)).map { _ in "w\(random.below(4))" }
      let common = Double(plain(a, b))
      let (precision, recall) = (common / Double(a.count), common / Double(b.count))
      let expected = common == 0 ? 0 : 2 * precision * recall / (precision + recall)
      let found = AnswerMatch.rougeL(a.joined(separator: " "), b.joined(separator: "  "), .ascii)
      #expect(abs(found - expected) < 1e-12)
    }
  }

  @Test func unicodeWordsKeepEveryScript() {
    #expect(WordSplitting.ascii.words("서울은 a-B 7. Über") == ["a", "b", "7", "ber"])
    #expect(WordSplitting.unicode.words("서울은 a-B 7. Über") == ["서울은", "a", "b", "7", "über"])
    #expect(WordSplitting.unicode.words("日本語です, हिन्दी") == ["日", "本", "語", "で", "す", "हिन्दी"])
    #expect(WordSplitting.unicode.words("👍🏽 — !") == [])
    // On plain English the two agree.
    let english = "The 3 quick-brown foxes' \"den\" (see: page_9)!"
    #expect(WordSplitting.unicode.words(english) == WordSplitting.ascii.words(english))
    #expect(WordSplitting.fitting(["plain", "Wörter"]) == .unicode)
    #expect(WordSplitting.fitting(["plain", "“quoted” – 🎉"]) == .ascii)
    #expect(AnswerMatch.rougeL("서울은 크다", "서울은 작다", .unicode) == 0.5)
    #expect(AnswerMatch.rougeL("서울은 크다", "서울은 작다", .ascii) == 0)
  }

  @Test func repetitionAndEcho() {
    #expect(Repetition.share([1, 2, 3, 4, 5, 6]) == 0)
    // 4-grams: 1111 five times.
    #expect(abs(Repetition.share([Int32](repeating: 1, count: 8)) - 0.8) < 1e-12)
    #expect(Repetition.share([1, 1, 1]) == 0)
    #expect(Repetition.distinct(1, [[1, 2, 2], [2, 3]]) == 0.6)
    // Pairs: 12, 22, 23 and no pair across two texts.
    #expect(Repetition.distinct(2, [[1, 2, 2], [2, 3]]) == 1)
    #expect(Repetition.distinct(2, [[1, 2], [1, 2]]) == 0.5)
    #expect(Repetition.distinct(2, [[1], []]) == nil)
    let prompt = "Sort these words: otter, gecko, crab, lynx, yak"
    #expect(Repetition.echo("Words: Otter gecko crab lynx and then", of: prompt) == 5.0 / 7)
    // Shorter runs are what answers are made of.
    #expect(Repetition.echo("otter gecko crab lynx", of: prompt) == 0)
    #expect(Repetition.echo("", of: prompt) == 0)
    #expect(Repetition.echo("서울 의 날씨 는 오늘", of: "서울 의 날씨 는 오늘 어때") == 1)
  }
}
