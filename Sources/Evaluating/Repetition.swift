/// What can be said of an answer without knowing the right one.
public enum Repetition {
  /// Different n-grams and n-grams in all.
  public static func ngrams(_ n: Int, of tokens: [Int32]) -> (distinct: Int, total: Int) {
    guard n > 0, tokens.count >= n else { return (0, 0) }
    let all = (0...tokens.count - n).map { tokens[$0..<$0 + n] }
    return (Set(all).count, all.count)
  }

  /// Share of different n-grams over all texts together: distinct-n (Li et al. 2016); nil where there is none.
  public static func distinct(_ n: Int, _ texts: [[Int32]]) -> Double? {
    var seen = Set<ArraySlice<Int32>>()
    var total = 0
    for tokens in texts where tokens.count >= n {
      for start in 0...tokens.count - n { seen.insert(tokens[start..<start + n]) }
      total += tokens.count - n + 1
    }
    return total == 0 ? nil : Double(seen.count) / Double(total)
  }

  /// Share of 4-grams of tokens that stood in the text before: 0 for no repetition, towards 1 for a loop (rep-4 of Welleck
  /// et al. 2020). 0 for fewer than four tokens.
  public static func share(_ tokens: [Int32]) -> Double {
    let (distinct, total) = ngrams(4, of: tokens)
    return total == 0 ? 0 : 1 - Double(distinct) / Double(total)
  }

  /// Shorter runs of words are no echo: an answer is made of the question's words.
  public static let shortestEcho = 5

  /// Share of the answer that is one piece of the prompt said again: words of the longest run that both hold, over the
  /// answer's. 0 where that run has fewer than `shortestEcho` words. O(words²).
  public static func echo(_ answer: String, of prompt: String) -> Double {
    let (ours, theirs) = (WordSplitting.unicode.words(answer), WordSplitting.unicode.words(prompt))
    if ours.isEmpty { return 0 }
    var row = [Int](repeating: 0, count: theirs.count + 1)
    var longest = 0
    for word in ours {
      for index in theirs.indices.reversed() {
        row[index + 1] = word == theirs[index] ? row[index] + 1 : 0
        longest = max(longest, row[index + 1])
      }
    }
    return longest < shortestEcho ? 0 : Double(longest) / Double(ours.count)
  }
}
