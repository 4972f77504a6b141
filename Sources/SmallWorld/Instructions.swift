import Core

/// Instruction records about the world, and questions that are kept from them.
package struct Instructions: Sendable {
  /// To train on, in a mixed order.
  package let training: [Record]
  /// About facts of which no training record speaks, in any words.
  package let questions: [Record]
  /// The facts behind `questions`, in their order.
  package let asked: [Fact]
  /// The facts behind `training`, in their order.
  package let trained: [Fact]

  /// One record a fact, in one of the ways to ask for it.
  package init(_ world: World) {
    var generator = SeededGenerator(seed: world.seed, name: "instructions")
    var asked: [Fact] = []
    for section in world.sections {
      for (relation, count) in section.held.sorted(by: { $0.key < $1.key }) {
        let facts = section.subjects.joined().filter { $0.relation.name == relation }
        var keys = Set<String>()
        for index in generator.permutation(facts.count) where keys.count < count {
          // A fact that is said in several ways is asked in one of them.
          guard keys.insert(facts[index].key).inserted else { continue }
          let same = section.subjects.joined().filter { $0.key == facts[index].key }
          asked.append(same[generator.below(same.count)])
        }
      }
    }
    let held = Set(asked.map(\.key))
    let rest = world.facts.filter { !held.contains($0.key) }
    let trained = generator.permutation(rest.count).map { rest[$0] }
    let order = generator.permutation(asked.count)
    self.trained = trained
    self.asked = order.map { asked[$0] }
    training = trained.map { Self.record($0, &generator) }
    questions = self.asked.map { Self.record($0, &generator) }
  }

  private static func record(_ fact: Fact, _ generator: inout SeededGenerator) -> Record {
    let form = fact.relation.forms[generator.below(fact.relation.forms.count)]
    return Record(
      instruction: fact.fill(form.instruction), input: fact.fill(form.input), output: fact.fill(form.output))
  }
}
