/// Which regular expression cuts a text into words. Each is known by its exact text in `tokenizer.json`.
package enum WordPattern: Sendable, Equatable {
  /// GPT-2's, which `ByteLevel` with `use_regex` applies.
  case gpt2
  /// GPT-4's, LLaMA 3's and Qwen 2's: contractions in any case, a leading mark joins a word, line breaks apart, and at
  /// most `digits` numerals together.
  case modern(digits: Int)
  /// As `modern`, with one numeral at a time, and combining marks among the letters (Qwen 3.5).
  case modernWithMarks
  /// GPT-4o's, and Mistral's without contractions: a word is capitals and then small letters.
  case cased(digits: Int, contractions: Bool)
  /// At most three numerals (DeepSeek's first).
  case threeNumerals
  /// Han and Kana (DeepSeek's second).
  case ideographs
  /// Words and marks, but no numerals (DeepSeek's third).
  case marksAndWords
  /// No cutting: what stands between added tokens is one word.
  case none

  /// Every character of a text belongs to a match, so that nothing stands between two.
  var coversEverything: Bool {
    switch self {
    case .gpt2, .modern, .modernWithMarks, .cased, .none: true
    case .threeNumerals, .ideographs, .marksAndWords: false
    }
  }

  /// `nil` for an expression that is not known.
  init?(regex: String) {
    guard let pattern = Self.known.first(where: { $0.regex.utf8.elementsEqual(regex.utf8) })?.pattern else {
      return nil
    }
    self = pattern
  }

  private static let known: [(regex: String, pattern: WordPattern)] = {
    let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    let word = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
    let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
    let rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\#(spaces)"#
    func cased(_ contraction: String, _ numerals: String) -> String {
      let lead = #"[^\r\n\p{L}\p{N}]?"#
      let (capitals, small) = (#"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#)
      return "\(lead)\(capitals)*\(small)+\(contraction)|\(lead)\(capitals)+\(small)*\(contraction)|\(numerals)|"
        + #" ?[^\s\p{L}\p{N}]+[\r\n/]*|\#(spaces)"#
    }
    return [
      (#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
      (#"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
      (#"\#(contractions)|\#(word)|\p{N}{1,3}|\#(rest)"#, .modern(digits: 3)),
      (#"\#(contractions)|\#(word)|\p{N}|\#(rest)"#, .modern(digits: 1)),
      // Possessive where nothing could be given back, so the same words.
      (
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|"#
          + #" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#, .modern(digits: 3)
      ),
      (
        #"\#(contractions)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\#(spaces)"#,
        .modernWithMarks
      ),
      (cased(contractions + "?", #"\p{N}{1,3}"#), .cased(digits: 3, contractions: true)),
      (cased("", #"\p{N}"#), .cased(digits: 1, contractions: false)),
      (#"\p{N}{1,3}"#, .threeNumerals),
      ("[一-龥\u{3040}-ゟ゠-ヿ]+", .ideographs),
      (
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"##
          + #" ?[\p{P}\p{S}]+[\r\n]*|\#(spaces)"#, .marksAndWords
      ),
    ]
  }()
}
