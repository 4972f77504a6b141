import Core
import Evaluating
import Generating
import Files
import TestSupport
import Testing

@Suite struct ComparisonTests {
  typealias Ending = Generation.Ending

  private static func answer(
    _ question: Question, _ text: String, _ ending: Ending = .endOfText, loss: Double? = nil, tokens: Int = 2,
    choice: [Double]? = nil
  ) -> Comparison.Answer {
    var likelihood = Likelihood()
    (likelihood.loss, likelihood.tokens, likelihood.correct) = ((loss ?? 0) * Double(tokens), tokens, tokens / 2)
    let generation = Generation(text: text, tokens: [1, 2, 3], ending: ending, endProbability: 0.5)
    let choices = choice.map { losses in
      losses.map { loss in
        var likelihood = Likelihood()
        likelihood.loss = loss
        return likelihood
      }
    }
    return Comparison.Answer(
      generation,
      AnswerMeasures(
        generation, question, reference: loss == nil ? nil : .init(likelihood, text: question.reference ?? ""),
        choice: choices.map { .init($0, of: question) }, .ascii))
  }

  private static func comparison(_ items: [Comparison.Item], adapters: [String]? = nil) -> Comparison {
    let settings = Comparison.Settings(
      model: "m", adapter: "a", adapters: adapters, template: "alpaca", rougeWords: .ascii,
      generation: GenerationSettings())
    let models = 2 + (adapters?.count ?? 0)
    return Comparison(
      settings: settings, items: items, tokens: Array(repeating: items.map { _ in [1, 2, 3] }, count: models))
  }

  /// Eight questions: the tuned model is right on six, wrong on one that the base has right, and both fail one.
  private static var eight: Comparison {
    comparison(
      (0..<8).map { index in
        let question = Question(question: "q\(index)", reference: "right \(index)")
        let base = answer(
          question, index == 6 ? "right 6" : "off", .limit, loss: 3 + Double(index) / 10, tokens: 1 + index)
        let tuned = answer(question, index < 6 ? "Right \(index)." : "off", loss: 2, tokens: 1 + index)
        return Comparison.Item(question, base: base, tuned: tuned, others: [])
      })
  }

  @Test func summaryCountsAndCompares() throws {
    let summary = Self.eight.summary
    #expect(summary.questions == 8 && summary.withReference == 8 && summary.withChoices == 0)
    #expect(summary.base.exactMatch == 1 && summary.tuned.exactMatch == 0)
    #expect(summary.base.exactMatchNormalised == 1 && summary.tuned.exactMatchNormalised == 6)
    #expect(summary.base.overrun == 1 && summary.tuned.overrun == 0 && summary.tuned.ended == 8)
    #expect(summary.regressions == [6])
    func of(_ measure: Measure) throws -> Comparison.Difference {
      try #require(summary.differences.first { $0.measure == measure })
    }
    let f1 = try of(.tokenF1)
    #expect(f1.wins == 6 && f1.ties == 1 && f1.losses == 1 && f1.conclusion == .better)
    #expect(abs(f1.difference - 5.0 / 8) < 1e-12 && abs(f1.pValue - 2 * 8.0 / 128) < 1e-12)
    // A token mean: question i has i + 1 tokens.
    let loss = try of(.loss)
    var sum = 0.0
    for index in 0..<8 { sum += (3 + Double(index) / 10) * Double(index + 1) }
    let expected = sum / 36
    #expect(abs(loss.base - expected) < 1e-12 && abs((summary.base.loss ?? 0) - expected) < 1e-12)
    #expect(loss.tuned == 2 && loss.wins == 8 && loss.conclusion == .better)
    #expect(try of(.endedWithEOS).wins == 8)
    let same = try of(.endProbability)
    #expect(same.ties == 8 && same.difference == 0 && same.low == 0 && same.conclusion == .unclear)
    #expect(!summary.differences.contains { $0.measure == .choiceAccuracy })
    // Worked out again it is the same to the bit.
    #expect(Self.eight == Self.eight)
  }

  @Test func fewQuestionsGiveNoConclusion() {
    func items(_ count: Int) -> [Comparison.Item] {
      (0..<count).map { index in
        let question = Question(question: "q\(index)")
        return Comparison.Item(
          question, base: Self.answer(question, "x", .limit), tuned: Self.answer(question, "x"), others: [])
      }
    }
    for (count, conclusion) in [(1, Comparison.Difference.Conclusion.unclear), (5, .unclear), (6, .better)] {
      let ended = Self.comparison(items(count)).summary.differences.first { $0.measure == .endedWithEOS }
      #expect(ended?.conclusion == conclusion && ended?.wins == count)
    }
  }

  @Test func choicesGoByLikelihoodPerByte() {
    let question = Question(question: "q", choices: ["short", "much longer text"], answer: 1)
    // Less likely as a whole, more likely by byte.
    let right = Self.answer(question, "x", choice: [3, 5])
    #expect(right.measures.choice?.chosen == 1 && right.measures.choice?.correct == true)
    let wrong = Self.answer(question, "x", choice: [1, 5])
    #expect(wrong.measures.choice?.chosen == 0 && wrong.measures.choice?.correct == false)
    let item = Comparison.Item(question, base: right, tuned: wrong, others: [right])
    #expect(item.verdict == .loss && item.verdictMeasure == .choiceAccuracy)
    let comparison = Self.comparison([item], adapters: ["b"])
    #expect(comparison.summary.base.choicesRight == 1 && comparison.summary.tuned.choicesRight == 0)
    #expect(comparison.summary.adapters?.map(\.choicesRight) == [1])
    #expect(comparison.summary.adapterDifferences?[0].first { $0.measure == .choiceAccuracy }?.ties == 1)
    #expect(comparison.names == ["base", "tuned", "adapter 2"])
  }

  @Test func sidesAreShuffledByComparisonAndSeed() throws {
    let digests = ["one", "two"].map { Digest(of: $0) }
    let sides = BlindVotes.tunedIsLeft(400, comparison: digests[0], seed: 42)
    #expect(sides == BlindVotes.tunedIsLeft(400, comparison: digests[0], seed: 42))
    #expect((160...240).contains(sides.count { $0 }))
    for other in [
      BlindVotes.tunedIsLeft(400, comparison: digests[1], seed: 42),
      BlindVotes.tunedIsLeft(400, comparison: digests[0], seed: 43),
    ] {
      #expect((140...260).contains(zip(sides, other).count { $0 == $1 }))
    }
  }

  @Test func votesAreUnblindedAndCounted() throws {
    let comparison = Self.eight
    let digest = Digest(of: "compare.json")
    let left = BlindVotes.tunedIsLeft(8, comparison: digest, seed: 42)
    // Tuned is preferred on 0 … 4, base on 5, a tie on 6; nothing on 7.
    var votes: [Int: BlindVotes.Side] = [6: .tie]
    for item in 0...4 { votes[item] = left[item] ? .left : .right }
    votes[5] = left[5] ? .right : .left
    let count = try VoteCount(
      BlindVotes(comparison: digest, votes: votes), on: comparison, digest: digest, file: "votes.json")
    #expect(count.count.tuned == 5 && count.count.base == 1 && count.count.ties == 1 && count.count.votes == 7)
    #expect(count.questions == 8 && abs(count.count.pValue - PairedDifference.signTest(wins: 5, losses: 1)) < 1e-12)
    #expect(count.items.map(\.item) == Array(0...6) && count.items[5].preferred == .base)
    for (votes, digest) in [(votes, Digest(of: "another")), ([8: .left], digest)] {
      let error = #expect(throws: SFTError.self) {
        try VoteCount(
          BlindVotes(comparison: Digest(of: "compare.json"), votes: votes), on: comparison, digest: digest,
          file: "v.json")
      }
      #expect(error?.kind == .badData && error?.file == "v.json")
    }
  }

  @Test func voteFilesAreChecked() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/votes.json"
      let digest = Digest(of: "x")
      func read(_ text: String) throws -> BlindVotes {
        try writeAtomically(text, to: path)
        return try BlindVotes(path: path)
      }
      let head = "{\"kind\":\"sft-votes\",\"comparison\":\"\(digest)\",\"votes\":"
      let votes = try read(head + "[{\"item\":3,\"vote\":\"left\"},{\"item\":0,\"vote\":\"tie\"}]}")
      #expect(votes == BlindVotes(comparison: digest, votes: [3: .left, 0: .tie]))
      for (bad, message) in [
        ("{}", "is not a file of votes"), ("[1]", "is not a file of votes"),
        (head + "[{\"item\":0,\"vote\":\"tuned\"}]}", "vote 1 is not an item with left, right or tie"),
        (head + "[{\"item\":-1,\"vote\":\"tie\"}]}", "vote 1 is not an item with left, right or tie"),
        (head + "[{\"item\":0,\"vote\":\"tie\"},{\"item\":0,\"vote\":\"left\"}]}", "holds two votes on item 0"),
      ] {
        let error = #expect(throws: SFTError.self) { try read(bad) }
        #expect(error?.message == message && error?.kind == .badData)
      }
    }
  }

  @Test func questionsAreReadWhole() throws {
    try withTemporaryFolder { (folder) throws in
      let path = folder + "/q.jsonl"
      func read(_ text: String) throws -> [Question] {
        try writeAtomically(text, to: path)
        return try loadQuestions(MappedFile(path))
      }
      #expect(
        try read("한국의 수도? 👩‍👩‍👧\r\n\n  второй \n") == [
          Question(question: "한국의 수도? 👩‍👩‍👧", line: 1), Question(question: "второй", line: 3),
        ])
      let lines = """
        {"instruction":"a","input":"b","output":"\\ud83d\\ude00","choices":null}
        {"question":"c","choices":["x","한글"],"answer":1}
        {"instruction":"d","choices":["x","y","z"],"answer":"z"}
        {"question":"e","answer":"f"}
        """
      #expect(
        try read(lines) == [
          Question(question: "a", input: "b", reference: "😀", line: 1),
          Question(question: "c", choices: ["x", "한글"], answer: 1, line: 2),
          Question(question: "d", choices: ["x", "y", "z"], answer: 2, line: 3),
          Question(question: "e", reference: "f", line: 4),
        ])
      for (bad, message) in [
        (#"{"instruction":"a","choices":["x"],"answer":0}"#, "'choices' is not a list of at least two texts"),
        (#"{"instruction":"a","choices":["x",1],"answer":0}"#, "'choices' is not a list of at least two texts"),
        (#"{"instruction":"a","choices":"xy","answer":0}"#, "'choices' is not a list of at least two texts"),
        (#"{"instruction":"a","choices":["x","x"],"answer":0}"#, "'choices' holds the same text twice"),
        (#"{"instruction":"a","choices":["x","y"]}"#, "has 'choices' but no 'answer'"),
        (#"{"instruction":"a","answer":0}"#, "has an 'answer' but no 'choices'"),
        (#"{"instruction":"a","choices":["x","y"],"answer":2}"#, "'answer' is 2, but the choices are 0 to 1"),
        (#"{"instruction":"a","choices":["x","y"],"answer":-1}"#, "'answer' is -1, but the choices are 0 to 1"),
        (#"{"instruction":"a","choices":["x","y"],"answer":"z"}"#, "'answer' is none of the choices"),
        (#"{"instruction":"a","choices":["x","y"],"answer":0.5}"#, "'answer' is neither an index nor a choice's text"),
      ] {
        let error = #expect(throws: SFTError.self) { try read("{\"instruction\":\"fine\"}\n\n" + bad) }
        #expect(error?.message == message)
        #expect(error?.line == 3 && error?.file == path && error?.kind == .badData)
      }
    }
  }
}
