import Core
import JSON

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
    var told: [(fact: Fact, form: Relation.Form)] = []
    for section in world.sections {
      for fact in section.subjects.joined() where !held.contains(fact.key) {
        let forms = fact.relation.forms
        told += (section.trainsEveryForm ? forms : [forms[generator.below(forms.count)]]).map { (fact, $0) }
      }
    }
    told = generator.permutation(told.count).map { told[$0] }
    asked = generator.permutation(asked.count).map { asked[$0] }
    (trained, self.asked) = (told.map(\.fact), asked)
    training = told.map { $0.fact.record($0.form) }
    questions = asked.map { $0.record($0.relation.forms[generator.below($0.relation.forms.count)]) }
  }
}

extension Fact {
  fileprivate func record(_ form: Relation.Form) -> Record {
    Record(instruction: fill(form.instruction), input: fill(form.input), output: fill(form.output))
  }
}

/// Records in Alpaca form, a JSON object a line.
package func jsonLines(_ records: [Record]) -> String {
  records.map { record in
    let object = JSONObject([
      ("instruction", .string(record.instruction)), ("input", .string(record.input)),
      ("output", .string(record.output)),
    ])
    return JSONValue.object(object).serialized + "\n"
  }.joined()
}
