import Core
import Evaluating
import Files
import TestSupport
import Testing

import SmallWorld

@Suite struct WorldTests {
  let world = World(seed: 1)
  let instructions: Instructions

  init() { instructions = Instructions(world) }

  @Test func sameSeedSameWorld() {
    #expect(World(seed: 1).corpus(rounds: 2) == world.corpus(rounds: 2))
    #expect(Instructions(World(seed: 1)).training == instructions.training)
    #expect(World(seed: 2).corpus(rounds: 2) != world.corpus(rounds: 2))
    #expect(Instructions(World(seed: 2)).questions != instructions.questions)
  }

  /// What is in `datasets/` is what `make-world` writes.
  @Test func datasetsAreTheWorlds() throws {
    let folder = fixturesFolder + "/../../datasets"
    for (name, records) in [("instructions", instructions.training), ("questions", instructions.questions)] {
      #expect(try readFile("\(folder)/\(name).jsonl") == Array(jsonLines(records).utf8), "\(name)")
    }
  }

  @Test func everySubjectHasOneValue() {
    var values: [String: String] = [:]
    for fact in world.facts {
      let name = "\(fact.relation.name) \(fact.subject)"
      #expect(values[name] == nil, "\(name) is said to be \(fact.value) and \(values[name] ?? "")")
      values[name] = fact.value
    }
    #expect(values.count == world.facts.count && values.count > 1500)
  }

  @Test func corpusSaysEveryFactInEveryRound() {
    let text = world.corpus(rounds: 3, endOfText: "\n")
    var sentences: [String: Int] = [:]
    for part in text.split(whereSeparator: { $0 == "\n" }) {
      for sentence in part.split(separator: ". ") {
        let end = sentence.hasSuffix(".") ? sentence.dropLast() : sentence
        sentences[String(end), default: 0] += 1
      }
    }
    for fact in world.facts {
      let said = fact.relation.statements.map { sentences[String(fact.fill($0).dropLast())] ?? 0 }.reduce(0, +)
      #expect(said >= 3, "\(fact.key) is said \(said) times")
    }
    #expect(!text.contains("?"), "the corpus is prose, without questions")
    #expect(!text.contains("{") && !text.contains("}"))
  }

  /// Whatever the words: by the facts' keys, and by the text, where no record may hold both what is asked and its answer.
  @Test func noQuestionIsTrained() {
    let trained = Set(instructions.trained.map(\.key))
    #expect(instructions.questions.count >= 100)
    #expect(Set(instructions.asked.map(\.key)).count == instructions.questions.count)
    let texts = instructions.training.map { words("\($0.instruction) \($0.input) \($0.output)") }
    for fact in instructions.asked {
      #expect(!trained.contains(fact.key))
      let (subject, value) = (words(fact.subject), words(fact.value))
      for text in texts where holds(text, subject) && holds(text, value) {
        Issue.record("\(fact.key) is told by \(text.joined(separator: " "))")
      }
    }
  }

  /// Sums and products in either order are one fact.
  @Test func ordersOfASumAreOneFact() throws {
    let sums = world.facts.filter { $0.subject == "3 plus 7" || $0.subject == "7 plus 3" }
    #expect(sums.count == 2)
    #expect(Set(sums.map(\.key)).count == 1)
    #expect(sums.allSatisfy { $0.value == "10" })
  }

  /// What a copier would score who also puts the right subject into the answer: the value in the output of the record
  /// whose prompt has the highest F1 of words with the question.
  @Test(arguments: [UInt64(1), 2, 3]) func nearestRecordIsSeldomRight(seed: UInt64) {
    let instructions = Instructions(World(seed: seed))
    let prompts = instructions.training.map { Set(AnswerMatch.normalisedWords(prompt($0))) }
    let right = zip(instructions.questions, instructions.asked).count { question, fact in
      let asked = Set(AnswerMatch.normalisedWords(prompt(question)))
      let scores = prompts.map { 2 * Double($0.intersection(asked).count) / Double($0.count + asked.count) }
      let best = scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
      return instructions.trained[best].value == fact.value
    }
    // A copier is right now and then, or the test would not see one.
    #expect(right > 0)
    #expect(Double(right) <= 0.15 * Double(instructions.questions.count), "\(right) right")
  }

  @Test func koreanParticlesFollowTheirWord() {
    #expect(Phrase.fill("{s:은} {v:이에요}.", subject: "강", value: "나무") == "강은 나무예요.")
    #expect(Phrase.fill("{s:이} {v:을}", subject: "나무", value: "강") == "나무가 강을")
    #expect(Hangul.spell(["ba", "len", "to"]) == "바렌토")
    #expect(Phrase.fill("{S} is {v}.", subject: "hot", value: "not cold") == "Hot is not cold.")
  }

  private func prompt(_ record: Record) -> String { record.instruction + " " + record.input }

  private func words(_ text: String) -> [Substring] {
    text.lowercased().split { !$0.isLetter && !$0.isNumber }.map { Substring($0) }
  }

  /// Whether `part` stands in `text`, word by word. A Korean word may carry a particle.
  private func holds(_ text: [Substring], _ part: [Substring]) -> Bool {
    guard !part.isEmpty, text.count >= part.count else { return false }
    return (0...(text.count - part.count)).contains { start in
      zip(part, text[start...]).allSatisfy { word, other in
        word == other || (word.unicodeScalars.allSatisfy { $0.value >= 0xAC00 } && other.hasPrefix(word))
      }
    }
  }
}
