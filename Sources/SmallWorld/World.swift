import Core

/// A small world, the same for the same seed: everything that is so in it.
package struct World: Sendable {
  /// Documents of one kind speak of so many subjects each.
  struct Section: Sendable {
    var subjects: [[Fact]]
    var subjectsPerDocument: Int
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
        subjects: Places.towns(towns, rivers: rivers, founders: founders, &generator), subjectsPerDocument: 18,
        held: ["river": 5, "fame": 5, "founder": 5]),
      Section(
        subjects: Places.tools(tools, &generator), subjectsPerDocument: 18, held: ["material": 5, "use": 5]),
      Section(
        subjects: Places.plants(plants, &generator), subjectsPerDocument: 18, held: ["colour": 5, "ground": 5]),
      Section(
        subjects: Learning.facts(), subjectsPerDocument: 64,
        held: ["sum": 20, "plural": 6, "past": 6, "opposite": 5, "korean": 8]),
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
          documents.append(Self.document(part.map { section.subjects[$0] }, round: round, &generator))
        }
      }
    }
    return generator.permutation(documents.count).map { documents[$0] + endOfText }.joined(separator: "\n") + "\n"
  }

  private static func document(_ subjects: [[Fact]], round: Int, _ generator: inout SeededGenerator) -> String {
    var text = ""
    for facts in subjects {
      for index in generator.permutation(facts.count) {
        let statements = facts[index].relation.statements
        // Each fact goes through its relation's sentences in turn, from a start of its own.
        var start = SeededGenerator(seed: 0, name: facts[index].key)
        text += facts[index].fill(statements[(start.below(statements.count) + round) % statements.count])
        text += generator.below(4) == 0 ? "\n" : " "
      }
    }
    return String(text.dropLast())
  }
}
