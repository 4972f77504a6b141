import Core

/// What is kept of a record's text to compare it with others.
public struct Fingerprint: Sendable {
  /// Over all words of a text in their order: equal for equal ones, and for others only by a chance of 2⁻¹²⁸.
  struct Key: Hashable, Sendable {
    var first: UInt64 = 1
    var second: UInt64 = 2

    mutating func add(_ word: UInt64) {
      first = SeededGenerator.mix(first ^ word)
      second = SeededGenerator.mix(second &+ word &* 0x9e37_79b9_7f4a_7c15)
    }
  }

  /// Instruction and input.
  let prompt: Key
  /// Without what it ends in of full stops and exclamation marks.
  let answer: Key
  /// Hashes of the pairs of neighbouring words of each field, sorted, each once; of the whole record, and of its prompt.
  let shingles: [UInt64]
  let promptShingles: [UInt64]
  let answerIsBlank: Bool
  let answerIsCut: Bool

  public init(_ record: Record) {
    let (instruction, input, output) = (words(record.instruction), words(record.input), words(record.output))
    // Between the two stands what is no word.
    prompt = (instruction + [0] + input).reduce(into: Key()) { $0.add($1) }
    let end = output.lastIndex { !Self.fullStops.contains($0) }
    // An answer of nothing but full stops is itself.
    answer = (end.map { output[...$0] } ?? output[...]).reduce(into: Key()) { $0.add($1) }
    let ofPrompt = Self.pairs(instruction) + Self.pairs(input)
    promptShingles = Self.sortedSet(ofPrompt)
    shingles = Self.sortedSet(ofPrompt + Self.pairs(output))
    answerIsBlank = output.isEmpty
    answerIsCut = looksCut(record.output)
  }

  private static let fullStops = Set(words(".!"))

  /// Within one field; of a single word, itself.
  private static func pairs(_ words: [UInt64]) -> [UInt64] {
    words.count == 1
      ? words : zip(words, words.dropFirst()).map { SeededGenerator.mix($0 &* 0x9e37_79b9_7f4a_7c15 ^ $1) }
  }

  private static func sortedSet(_ elements: [UInt64]) -> [UInt64] {
    var unique: [UInt64] = []
    unique.reserveCapacity(elements.count)
    for element in elements.sorted() where unique.last != element { unique.append(element) }
    return unique
  }
}

private func words(_ text: String) -> [UInt64] {
  var words: [UInt64] = []
  forEachWord(text) { words.append($0) }
  return words
}

/// Whether an answer of at least eight words stops in the middle: within a block of code, at a comma or an opening bracket,
/// or at an English word that something has to follow. Rather misses one than names a whole answer.
func looksCut(_ answer: String) -> Bool {
  let fences = answer.split(separator: "\n").count { line in
    line.drop { $0 == " " || $0 == "\t" }.hasPrefix("```")
  }
  if fences % 2 == 1 { return true }
  let words = answer.split { $0.isWhitespace }
  guard words.count >= 8, let last = words.last else { return false }
  if let end = last.last, ",([{".contains(end) { return true }
  let unfinished: Set = ["a", "an", "and", "because", "but", "from", "of", "or", "the", "their", "to", "with", "your"]
  return unfinished.contains(String(last))
}
