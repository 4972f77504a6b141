import JSON
import Testing
import Tokenizing

/// The plainest reading of a byte-level BPE tokenizer: regular expressions tried alternative by alternative over code
/// points, and merges looked up pair by pair in rounds. Slow and obviously right: the fast one's oracle.
struct PlainTokenizer {
  struct Pair: Hashable {
    var left: String
    var right: String
  }

  private var vocabulary: [String: Int32] = [:]
  private var ranks: [Pair: Int] = [:]
  private let alphabet: [Character]
  /// Numerals together in GPT-4's kind of expression; nil for GPT-2's.
  private let digits: Int?

  init(folder: String, digits: Int?) throws {
    self.digits = digits
    let model = try #require(try parseJSONFile(folder + "/tokenizer.json")["model"])
    for member in try #require(model["vocab"]?.object).members {
      vocabulary[member.key] = member.value.int.flatMap { Int32(exactly: $0) }
    }
    for (rank, merge) in try #require(model["merges"]?.array).enumerated() {
      let pair = (merge.array ?? []).compactMap(\.string)
      ranks[Pair(left: pair[0], right: pair[1])] = rank
    }
    let printable = Set([0x21...0x7e, 0xa1...0xac, 0xae...0xff].joined())
    let others = (0..<256).filter { !printable.contains($0) }
    alphabet = try (0..<256).map { byte in
      let point = others.firstIndex(of: byte).map { 0x100 + $0 } ?? byte
      return Character(try #require(Unicode.Scalar(UInt32(point))))
    }
  }

  func encode(_ text: String) -> [Int32] { words(Array(text.unicodeScalars)).flatMap(encodeWord) }

  private func encodeWord(_ word: [Unicode.Scalar]) -> [Int32] {
    let bytes = word.flatMap { Array(String(Character($0)).utf8) }
    var symbols = bytes.map { String(alphabet[Int($0)]) }
    while true {
      let candidates = symbols.indices.dropLast().compactMap { index in
        ranks[Pair(left: symbols[index], right: symbols[index + 1])].map { (rank: $0, index: index) }
      }
      guard let best = candidates.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) else { break }
      symbols.replaceSubrange(best.index...best.index + 1, with: [symbols[best.index] + symbols[best.index + 1]])
    }
    return symbols.map { vocabulary[$0] ?? -1 }
  }

  func words(_ text: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
    var result: [[Unicode.Scalar]] = []
    var at = 0
    while at < text.count {
      let alternatives = digits.map { modern(text, at, $0) } ?? gpt2(text, at)
      let end = alternatives.lazy.compactMap { $0() }.first { $0 > at } ?? at + 1
      result.append(Array(text[at..<end]))
      at = end
    }
    return result
  }

  typealias Alternative = () -> Int?

  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  private func gpt2(_ text: [Unicode.Scalar], _ at: Int) -> [Alternative] {
    let afterSpace = text[at] == " " ? at + 1 : at
    return [
      { contraction(text, at, anyCase: false) },
      { some(text, afterSpace) { $0 == .letter } }, { some(text, afterSpace) { $0 == .number } },
      { some(text, afterSpace) { $0 == .other } },
      { spacesBeforeSpace(text, at) }, { some(text, at) { $0 == .space } },
    ]
  }

  /// `(?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
  private func modern(_ text: [Unicode.Scalar], _ at: Int, _ digits: Int) -> [Alternative] {
    let kind = CharacterClass.of(text[at])
    let afterMark = kind == .letter || kind == .number || isBreak(text[at]) ? at : at + 1
    let afterSpace = text[at] == " " ? at + 1 : at
    return [
      { contraction(text, at, anyCase: true) },
      { some(text, afterMark) { $0 == .letter } },
      { some(text, at) { $0 == .number }.map { min($0, at + digits) } },
      {
        guard var end = some(text, afterSpace, { $0 == .other }) else { return nil }
        while end < text.count, isBreak(text[end]) { end += 1 }
        return end
      },
      {
        let spaces = some(text, at) { $0 == .space } ?? at
        for start in stride(from: spaces, through: at, by: -1) {
          var end = start
          while end < text.count, isBreak(text[end]) { end += 1 }
          if end > start { return end }
        }
        return nil
      },
      { spacesBeforeSpace(text, at) }, { some(text, at) { $0 == .space } },
    ]
  }

  private func isBreak(_ scalar: Unicode.Scalar) -> Bool { scalar == "\r" || scalar == "\n" }

  /// One or more characters of a class, as many as there are.
  private func some(_ text: [Unicode.Scalar], _ at: Int, _ accepts: (CharacterClass) -> Bool) -> Int? {
    var end = at
    while end < text.count, accepts(CharacterClass.of(text[end])) { end += 1 }
    return end > at ? end : nil
  }

  private func spacesBeforeSpace(_ text: [Unicode.Scalar], _ at: Int) -> Int? {
    guard let end = some(text, at, { $0 == .space }) else { return nil }
    return stride(from: end, to: at, by: -1).first { $0 == text.count || CharacterClass.of(text[$0]) == .space }
  }

  private func contraction(_ text: [Unicode.Scalar], _ at: Int, anyCase: Bool) -> Int? {
    for contraction in ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"] {
      let end = at + contraction.unicodeScalars.count
      guard end <= text.count else { continue }
      let found = String(String.UnicodeScalarView(text[at..<end]))
      let folded = anyCase ? found.lowercased().replacing("ſ", with: "s") : found
      if folded == contraction { return end }
    }
    return nil
  }
}
