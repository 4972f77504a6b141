import ArgumentParser
import Files
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
    try writeAtomically(jsonLines(instructions.training), to: to + "/instructions.jsonl")
    try writeAtomically(jsonLines(instructions.questions), to: to + "/questions.jsonl")
    print(
      "\(world.facts.count) facts, \(instructions.training.count) records, \(instructions.questions.count) questions")
  }
}
