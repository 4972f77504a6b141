/// A kind of fact: how prose says it, and how an instruction asks for it.
package struct Relation: Sendable {
  /// An instruction in Alpaca form, and its answer.
  package struct Form: Sendable {
    var instruction: String
    var input = ""
    var output: String
  }

  package let name: String
  /// Sentences of the corpus; never a question.
  package let statements: [String]
  let forms: [Form]

  init(_ name: String, says statements: [String], asks forms: [Form]) {
    self.name = name
    self.statements = statements
    self.forms = forms
  }
}

/// Something that is so in the world.
package struct Fact: Sendable {
  package let relation: Relation
  /// Who or what the fact is about, as text.
  package let subject: String
  /// What a question about it asks for.
  package let value: String
  /// What it is, whatever the words: facts of one key say the same, in another language or the other way round. No key
  /// is both trained and asked.
  package let key: String

  init(_ relation: Relation, _ subject: String, _ value: String, key: String? = nil) {
    self.relation = relation
    self.subject = subject
    self.value = value
    self.key = key ?? "\(relation.name): \(subject)"
  }

  package func fill(_ phrase: String) -> String { Phrase.fill(phrase, subject: subject, value: value) }
}

/// Sentences with places in them: `{s}` for the subject, `{v}` for the value, `{S}` and `{V}` with a capital, and Korean
/// particles that depend on the word before, as `{s:은}`.
package enum Phrase {
  package static func fill(_ phrase: String, subject: String, value: String) -> String {
    var result = ""
    var rest = Substring(phrase)
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      result += rest[..<open]
      let parts = rest[rest.index(after: open)..<close].split(separator: ":")
      let word = parts[0].lowercased() == "s" ? subject : value
      result += parts[0] == parts[0].lowercased() ? word : capitalized(word)
      if parts.count > 1 { result += Hangul.particle(String(parts[1]), after: word) }
      rest = rest[rest.index(after: close)...]
    }
    return result + rest
  }

  static func capitalized(_ word: String) -> String { word.prefix(1).uppercased() + word.dropFirst() }
}

/// Korean spelling, as far as the world's names and particles need it.
package enum Hangul {
  private static let consonants: [Character: Int] = [
    "k": 15, "n": 2, "d": 3, "r": 5, "l": 5, "m": 6, "b": 7, "s": 9, "j": 12, "t": 16, "p": 17, "h": 18, "g": 0,
  ]
  private static let vowels: [Character: Int] = ["a": 0, "e": 5, "o": 8, "u": 13, "i": 20]
  private static let finals: [Character: Int] = ["n": 4, "l": 8, "m": 16, "k": 1, "s": 19]

  /// A name of syllables such as "ta" or "len", in Hangul.
  package static func spell(_ syllables: [String]) -> String {
    String(
      String.UnicodeScalarView(
        syllables.compactMap { syllable in
          let letters = Array(syllable)
          guard letters.count >= 2, let first = consonants[letters[0]], let vowel = vowels[letters[1]] else {
            return nil
          }
          let last = letters.count > 2 ? finals[letters[2]] ?? 0 : 0
          return Unicode.Scalar(UInt32(0xAC00 + (first * 21 + vowel) * 28 + last))
        }))
  }

  /// 은/는, 이/가, 을/를, 이에요/예요 by whether the word ends in a consonant.
  static func particle(_ particle: String, after word: String) -> String {
    let last = word.unicodeScalars.last.map { Int($0.value) - 0xAC00 } ?? 0
    let closed = last >= 0 && last % 28 != 0
    switch particle {
    case "은": return closed ? "은" : "는"
    case "이": return closed ? "이" : "가"
    case "을": return closed ? "을" : "를"
    case "이에요": return closed ? "이에요" : "예요"
    default: return particle
    }
  }
}
