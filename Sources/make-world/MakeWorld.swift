import ArgumentParser
import Core
import Files
import JSON
import SmallWorld

/// Writes what `datasets/` holds.
@main
struct MakeWorld: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "make-world",
    abstract: "Write a small world: corpus.txt to pretrain on, instructions.jsonl to tune on, questions.jsonl to ask.")

  @Option(name: .long, help: "The same seed, the same world.")
  var seed: UInt64 = 1

  @Option(name: .long, help: "How often the corpus says each fact, in other words and beside other facts.")
  var rounds = 100

  @Option(name: .long, help: "A folder to write to.", completion: .directory)
  var to: String

  func validate() throws {
    guard (1...1000).contains(rounds) else { throw ValidationError("--rounds must be from 1 to 1,000.") }
  }

  func run() throws {
    let world = World(seed: seed)
    let instructions = Instructions(world)
    try createDirectory(to)
    try writeAtomically(world.corpus(rounds: rounds), to: to + "/corpus.txt")
    try writeAtomically(lines(instructions.training), to: to + "/instructions.jsonl")
    try writeAtomically(lines(instructions.questions), to: to + "/questions.jsonl")
    print(
      "\(world.facts.count) facts, \(instructions.training.count) records, \(instructions.questions.count) questions")
  }

  private func lines(_ records: [Record]) -> String {
    records.map { record in
      let object = JSONObject([
        ("instruction", .string(record.instruction)), ("input", .string(record.input)),
        ("output", .string(record.output)),
      ])
      return JSONValue.object(object).serialized + "\n"
    }.joined()
  }
}
