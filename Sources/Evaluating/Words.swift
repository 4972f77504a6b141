/// How ROUGE-L cuts text into words.
public enum WordSplitting: String, Sendable, Codable, CaseIterable {
  /// The rouge-score package's: lower case, then runs of a–z and 0–9. Everything else, Korean for one, is dropped.
  case ascii
  /// Lower case, then runs of letters, marks and digits of any script; ideographs and kana, which are written without
  /// spaces, each alone. On plain English the same as `ascii`.
  case unicode

  public func words(_ text: String) -> [String] {
    var words: [String] = []
    var word = ""
    func flush() {
      if !word.isEmpty { words.append(word) }
      word = ""
    }
    for scalar in lowercase(text) {
      switch self {
      case .ascii where ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar): word.unicodeScalars.append(scalar)
      case .ascii: flush()
      case .unicode where scalar.standsAlone:
        flush()
        words.append(String(scalar))
      case .unicode where scalar.isLetterOrDigit || scalar.isMark: word.unicodeScalars.append(scalar)
      case .unicode: flush()
      }
    }
    flush()
    return words
  }

  /// What fits texts: rouge-score's own unless one of them has letters that it would drop.
  public static func fitting(_ texts: some Sequence<String>) -> WordSplitting {
    texts.contains { $0.unicodeScalars.contains { $0.value > 127 && $0.isLetterOrDigit } } ? .unicode : .ascii
  }
}

/// Lower case as Unicode's full mapping has it and Python's `str.lower`: a sigma at a word's end is ς.
func lowercase(_ text: String) -> [Unicode.Scalar] {
  let scalars = Array(text.unicodeScalars)
  func isCased(_ neighbours: some Sequence<Unicode.Scalar>) -> Bool {
    neighbours.first { !$0.properties.isCaseIgnorable }?.properties.isCased ?? false
  }
  return scalars.enumerated().flatMap { index, scalar -> [Unicode.Scalar] in
    guard scalar == "Σ" else { return Array(scalar.properties.lowercaseMapping.unicodeScalars) }
    return isCased(scalars[..<index].reversed()) && !isCased(scalars[(index + 1)...]) ? ["ς"] : ["σ"]
  }
}

extension Unicode.Scalar {
  /// Python's `str.isalnum`: a letter of any script, or a number.
  var isLetterOrDigit: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
      .letterNumber, .otherNumber:
      true
    default: false
    }
  }

  fileprivate var isMark: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: true
    default: false
    }
  }

  fileprivate var standsAlone: Bool {
    properties.isIdeographic || (0x3041...0x30ff).contains(value) && isLetterOrDigit
  }
}
