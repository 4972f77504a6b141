import Core

/// A small world, the same for the same seed: everything that is so in it.
package struct World: Sendable {
  /// What documents of one kind speak of.
  struct Section: Sendable {
    var subjects: [[Fact]]
    var subjectsPerDocument: Int
    /// Sentences that a document has for a fact. A name that comes again and again teaches to take names up.
    var sentencesPerFact = 1
    /// Whether a fact is trained in every way to ask for it, or in one of them.
    var trainsEveryForm = false
    /// How many of the section's facts of each relation are asked and never trained.
    var held: [String: Int]
  }

  let seed: UInt64
  let sections: [Section]

  /// Every fact, in a fixed order.
  package var facts: [Fact] { sections.flatMap { $0.subjects.joined() } }

  package init(seed: UInt64) {
    self.seed = seed
    var generator = SeededGenerator(seed: seed, name: "facts")
    var names = NameMaker(SeededGenerator(seed: seed, name: "names"))
    func draw(_ count: Int, ending: String = "", korean: String = "") -> [Name] {
      (0..<count).map { _ in names.next(ending: ending, koreanEnding: korean) }
    }
    let people = draw(160)
    let towns = draw(24, ending: "ford", korean: "포드") + draw(12, ending: "wick", korean: "윅")
    let rivers = draw(16)
    let founders = draw(towns.count)
    let tools = draw(36)
    let plants = draw(36)
    sections = [
      Section(
        subjects: People.facts(people, towns: towns, korean: 48, &generator), subjectsPerDocument: 16,
        held: ["lives": 12, "works": 12, "keeps": 12, "plays": 12, "eats": 12]),
      Section(
        subjects: Places.towns(towns, rivers: rivers, founders: founders, &generator), subjectsPerDocument: 12,
        sentencesPerFact: 2, trainsEveryForm: true,
        held: ["river": 5, "fame": 5, "founder": 5]),
      Section(
        subjects: Places.tools(tools, &generator), subjectsPerDocument: 18, sentencesPerFact: 2, trainsEveryForm: true,
        held: ["material": 5, "use": 5]),
      Section(
        subjects: Places.plants(plants, &generator), subjectsPerDocument: 18, sentencesPerFact: 2,
        trainsEveryForm: true,
        held: ["colour": 5, "ground": 5]),
      Section(
        subjects: Learning.sums(), subjectsPerDocument: 64, held: ["sum": 20]),
      Section(
        subjects: Learning.words(), subjectsPerDocument: 40, sentencesPerFact: 2, trainsEveryForm: true,
        held: ["plural": 6, "past": 6, "opposite": 5, "korean": 8]),
    ]
  }

  /// The corpus: prose that says every fact `rounds` times, each time among other neighbours and, as far as there are
  /// some, in other words. `endOfText` ends each document.
  package func corpus(rounds: Int, endOfText: String = "<|endoftext|>") -> String {
    var generator = SeededGenerator(seed: seed, name: "corpus")
    var documents: [String] = []
    for round in 0..<rounds {
      for section in sections {
        let order = generator.permutation(section.subjects.count)
        for start in stride(from: 0, to: order.count, by: section.subjectsPerDocument) {
          let part = order[start..<min(start + section.subjectsPerDocument, order.count)]
          let first = round * section.sentencesPerFact
          documents.append(
            Self.document(
              part.map { section.subjects[$0] }, sentences: first..<(first + section.sentencesPerFact), &generator))
        }
      }
    }
    return generator.permutation(documents.count).map { documents[$0] + endOfText }.joined(separator: "\n") + "\n"
  }

  /// `sentences` are the numbers of the sentences that say each fact, in its own count.
  private static func document(
    _ subjects: [[Fact]], sentences: Range<Int>, _ generator: inout SeededGenerator
  ) -> String {
    var text = ""
    for facts in subjects {
      for index in generator.permutation(facts.count) {
        let statements = facts[index].relation.statements
        // Each fact goes through its relation's sentences in turn, from a start of its own.
        var start = SeededGenerator(seed: 0, name: facts[index].key)
        let offset = start.below(statements.count)
        for sentence in sentences {
          text += facts[index].fill(statements[(offset + sentence) % statements.count])
          text += generator.below(4) == 0 ? "\n" : " "
        }
      }
    }
    return String(text.dropLast())
  }
}
