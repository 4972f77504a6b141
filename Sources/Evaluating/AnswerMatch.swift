/// How near an answer comes to the expected one, by its words alone.
public enum AnswerMatch {
  /// Equal, white space at both ends aside.
  public static func isExact(_ answer: String, _ reference: String) -> Bool {
    trimmed(answer).elementsEqual(trimmed(reference))
  }

  /// SQuAD's `normalize_answer`, as words: lower case, without ASCII punctuation, without a, an and the.
  public static func normalisedWords(_ text: String) -> [String] {
    splitOnSpace(withoutArticles(lowercase(text).filter { !isPunctuation($0) }))
  }

  /// Equal once normalised as SQuAD does.
  public static func isNormalisedExact(_ answer: String, _ reference: String) -> Bool {
    bytes(normalisedWords(answer)) == bytes(normalisedWords(reference))
  }

  /// SQuAD's F1 of the normalised words, as multisets; of two empty texts 1, of an empty and another 0.
  public static func tokenF1(_ answer: String, _ reference: String) -> Double {
    let (ours, theirs) = (bytes(normalisedWords(answer)), bytes(normalisedWords(reference)))
    if ours.isEmpty || theirs.isEmpty { return ours == theirs ? 1 : 0 }
    var left = theirs.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    var common = 0
    for word in ours where left[word, default: 0] > 0 {
      left[word, default: 0] -= 1
      common += 1
    }
    return harmonicMean(common, ours.count, theirs.count)
  }

  /// ROUGE-L's F-measure (Lin 2004) as the rouge-score package computes it: by the longest common subsequence of words, no
  /// stemming; 0 where a side has no words. O(words²).
  public static func rougeL(_ answer: String, _ reference: String, _ splitting: WordSplitting) -> Double {
    let (ours, theirs) = (bytes(splitting.words(answer)), bytes(splitting.words(reference)))
    if ours.isEmpty || theirs.isEmpty { return 0 }
    return harmonicMean(longestCommonSubsequence(ours, theirs), ours.count, theirs.count)
  }

  /// Words to be compared as other tools do: to Swift's `==`, é and e with an accent are one.
  private static func bytes(_ words: [String]) -> [[UInt8]] { words.map { Array($0.utf8) } }

  /// F1 of precision common/ours and recall common/theirs.
  private static func harmonicMean(_ common: Int, _ ours: Int, _ theirs: Int) -> Double {
    let (precision, recall) = (Double(common) / Double(ours), Double(common) / Double(theirs))
    return common == 0 ? 0 : 2 * precision * recall / (precision + recall)
  }

  private static func longestCommonSubsequence(_ a: [[UInt8]], _ b: [[UInt8]]) -> Int {
    var row = [Int](repeating: 0, count: b.count + 1)
    for word in a {
      var diagonal = 0
      for (index, other) in b.enumerated() {
        let above = row[index + 1]
        row[index + 1] = word == other ? diagonal + 1 : max(above, row[index])
        diagonal = above
      }
    }
    return row[b.count]
  }

  private static func trimmed(_ text: String) -> Substring.UnicodeScalarView {
    let scalars = Substring(text).unicodeScalars
    let start = scalars.firstIndex { !isSpace($0) } ?? scalars.endIndex
    let end = scalars.lastIndex { !isSpace($0) }.map { scalars.index(after: $0) } ?? start
    return scalars[start..<end]
  }

  /// Python's `string.punctuation`.
  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    (33...47).contains(scalar.value) || (58...64).contains(scalar.value) || (91...96).contains(scalar.value)
      || (123...126).contains(scalar.value)
  }

  /// Python's `\b(a|an|the)\b` → a space: runs of letters and digits that are one of them.
  private static func withoutArticles(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    var run: [Unicode.Scalar] = []
    func flush() {
      let isArticle = [["a"], ["a", "n"], ["t", "h", "e"]].contains(run)
      result += isArticle ? [" "] : run
      run = []
    }
    for scalar in scalars {
      if scalar.isLetterOrDigit {
        run.append(scalar)
      } else {
        flush()
        result.append(scalar)
      }
    }
    flush()
    return result
  }

  private static func splitOnSpace(_ scalars: [Unicode.Scalar]) -> [String] {
    scalars.split(whereSeparator: isSpace).map { word in
      var text = String.UnicodeScalarView()
      text.append(contentsOf: word)
      return String(text)
    }
  }

  /// Python's `str.isspace`.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1c...0x1f).contains(scalar.value)
  }
}
