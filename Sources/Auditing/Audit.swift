import Core

/// A record as the audit sees it.
public struct AuditedRecord: Sendable {
  public enum Place: Sendable {
    case training
    case validation
    /// Not in the prepared data: too long, or its answer alone.
    case droppedTooLong
    case droppedAnswerTooLong
  }

  public var fingerprint: Fingerprint
  /// 128 bits over its tokens.
  public var content: ContentHash
  public var place: Place
  /// Tokens of the whole record, EOS included, and of its prompt, before anything was cut.
  public var tokens: Int
  public var promptTokens: Int
  /// Cut from the prompt's left.
  public var removedTokens: Int
  public var endsInEndOfText: Bool

  public init(
    fingerprint: Fingerprint, content: ContentHash, place: Place, tokens: Int, promptTokens: Int, removedTokens: Int,
    endsInEndOfText: Bool
  ) {
    self.fingerprint = fingerprint
    self.content = content
    self.place = place
    self.tokens = tokens
    self.promptTokens = promptTokens
    self.removedTokens = removedTokens
    self.endsInEndOfText = endsInEndOfText
  }
}

public struct ContentHash: Hashable, Sendable {
  var first: UInt64
  var second: UInt64

  public init(_ first: UInt64, _ second: UInt64) { (self.first, self.second) = (first, second) }
}

/// Something about one record that its owner may want to know.
public struct Finding: Sendable, Equatable {
  /// In the order in which they are reported.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// A validation record that training has too, word for word or nearly.
    case leakedRecord = "leaked_record"
    /// A validation record whose prompt training has too, word for word or nearly.
    case leakedPrompt = "leaked_prompt"
    /// The same prompt as an earlier record, but another answer.
    case conflictingAnswer = "conflicting_answer"
    /// The same tokens as an earlier record of its side.
    case exactDuplicate = "exact_duplicate"
    /// Nearly the words of an earlier record of its side that is itself no duplicate.
    case nearDuplicate = "near_duplicate"
    /// Its tokens do not end in EOS: the model would not learn to stop.
    case missingEOS = "missing_eos"
    /// Not in the prepared data, because its answer alone is longer than the maximum length.
    case answerTooLong = "answer_too_long"
    /// Not in the prepared data, because it is longer than the maximum length.
    case tooLong = "too_long"
    /// Its prompt was cut from its left.
    case truncatedPrompt = "truncated_prompt"
    /// Its answer stops in the middle of a sentence or of code.
    case cutAnswer = "cut_answer"
    /// Its answer has nothing that can be seen.
    case emptyAnswer = "empty_answer"
    /// Its answer is a single token and EOS.
    case oneTokenAnswer = "one_token_answer"
  }

  public var kind: Kind
  public var record: Int
  /// The record that it is like, or contradicts.
  public var other: Int?
  /// 1 where it is the same, by tokens or words.
  public var similarity: Double?
}

/// Looks for what is wrong with the records of prepared data.
public struct Audit: Sendable {
  /// Jaccard similarity of the pairs of neighbouring words from which on two texts are nearly the same.
  public static let standardThreshold = 0.75

  /// By kind, then by record.
  public private(set) var findings: [Finding] = []
  /// Records for which only the first of very many similar ones were looked at.
  public private(set) var cutShort = 0

  /// `records` in the order of their files. Near-linear in their number.
  public init(_ records: [AuditedRecord], threshold: Double = Audit.standardThreshold) {
    var index = SimilarityIndex(records.map(\.fingerprint.shingles), threshold: threshold)
    let training = records.indices.filter { records[$0].place == .training }
    let validation = records.indices.filter { records[$0].place == .validation }
    // Each side by itself; the training side comes last, for the validation records to be compared with.
    duplicates(of: validation, records, index)
    duplicates(of: training, records, index)
    leaks(training, validation, records, &index, threshold)
    conflicts(training + validation, records)
    for (number, record) in records.enumerated() {
      for kind in Self.flaws(of: record) { findings.append(Finding(kind: kind, record: number)) }
    }
    let order = Dictionary(uniqueKeysWithValues: Finding.Kind.allCases.enumerated().map { ($1, $0) })
    findings.sort { (order[$0.kind] ?? 0, $0.record) < (order[$1.kind] ?? 0, $1.record) }
  }

  /// Whoever is nearly like a duplicate is not named for that: were the duplicates taken out, nothing like it would be left.
  private mutating func duplicates(of side: [Int], _ records: [AuditedRecord], _ empty: SimilarityIndex) {
    var index = empty
    var seen: [ContentHash: Int] = [:]
    for record in side {
      if let first = seen[records[record].content] {
        findings.append(Finding(kind: .exactDuplicate, record: record, other: first, similarity: 1))
        continue
      }
      seen[records[record].content] = record
      if let (other, similarity) = index.nearest(to: record) {
        findings.append(Finding(kind: .nearDuplicate, record: record, other: other, similarity: similarity))
      } else {
        index.add(record)
      }
    }
    cutShort += index.cutShort
  }

  private mutating func leaks(
    _ training: [Int], _ validation: [Int], _ records: [AuditedRecord], _ whole: inout SimilarityIndex,
    _ threshold: Double
  ) {
    guard !validation.isEmpty else { return }
    var prompts = SimilarityIndex(records.map(\.fingerprint.promptShingles), threshold: threshold)
    var contents: [ContentHash: Int] = [:]
    var samePrompt: [Fingerprint.Key: Int] = [:]
    for record in training {
      // Equal ones need no second look.
      if contents.updateValue(contents[records[record].content] ?? record, forKey: records[record].content) == nil {
        whole.add(record)
      }
      let prompt = records[record].fingerprint.prompt
      if samePrompt.updateValue(samePrompt[prompt] ?? record, forKey: prompt) == nil { prompts.add(record) }
    }
    for record in validation {
      if let other = contents[records[record].content] {
        findings.append(Finding(kind: .leakedRecord, record: record, other: other, similarity: 1))
      } else if let (other, similarity) = whole.nearest(to: record) {
        findings.append(Finding(kind: .leakedRecord, record: record, other: other, similarity: similarity))
      } else if let other = samePrompt[records[record].fingerprint.prompt] {
        findings.append(Finding(kind: .leakedPrompt, record: record, other: other, similarity: 1))
      } else if let (other, similarity) = prompts.nearest(to: record) {
        findings.append(Finding(kind: .leakedPrompt, record: record, other: other, similarity: similarity))
      }
    }
    cutShort += whole.cutShort + prompts.cutShort
  }

  /// A finding for each further answer, at the first record that gives it.
  private mutating func conflicts(_ kept: [Int], _ records: [AuditedRecord]) {
    var first: [Fingerprint.Key: Int] = [:]
    var answers: [Fingerprint.Key: Set<Fingerprint.Key>] = [:]
    for record in kept.sorted() {
      let fingerprint = records[record].fingerprint
      let isNew = answers[fingerprint.prompt, default: []].insert(fingerprint.answer).inserted
      if let other = first[fingerprint.prompt] {
        if isNew { findings.append(Finding(kind: .conflictingAnswer, record: record, other: other)) }
      } else {
        first[fingerprint.prompt] = record
      }
    }
  }

  private static func flaws(of record: AuditedRecord) -> [Finding.Kind] {
    var kinds: [Finding.Kind] = []
    switch record.place {
    case .droppedTooLong: return [.tooLong]
    case .droppedAnswerTooLong: return [.answerTooLong]
    case .training, .validation: break
    }
    if !record.endsInEndOfText { kinds.append(.missingEOS) }
    if record.removedTokens > 0 { kinds.append(.truncatedPrompt) }
    let answer = record.tokens - record.promptTokens - (record.endsInEndOfText ? 1 : 0)
    if record.fingerprint.answerIsBlank || answer == 0 {
      kinds.append(.emptyAnswer)
    } else if answer == 1 {
      kinds.append(.oneTokenAnswer)
    } else if record.fingerprint.answerIsCut {
      kinds.append(.cutAnswer)
    }
    return kinds
  }
}
