import Auditing
import Core
import Testing

/// Findings of each kind where they were planted, and none elsewhere.
@Suite struct AuditTests {
  private static let subjects = ["rivers", "engines", "poems", "markets", "bridges", "vitamins", "comets", "treaties"]
  private static let verbs = ["explain", "compare", "list", "summarise", "criticise"]

  /// No two of them share much.
  static func clean(_ count: Int) -> [Record] {
    var random = SeededGenerator(seed: 7)
    func phrase(_ words: Int) -> String {
      (0..<words).map { _ in
        String((0..<(3 + random.below(5))).map { _ in Character(UnicodeScalar(UInt8(97 + random.below(26)))) })
      }.joined(separator: " ")
    }
    return (0..<count).map { number in
      Record(
        instruction: "\(verbs[number % 5]) the \(subjects[number % 8]) of \(phrase(6))",
        input: number % 3 == 0 ? phrase(4) : "", output: "The answer is \(phrase(8)).", line: number + 1)
    }
  }

  private func audited(
    _ records: [Record], validation: Set<Int> = [], _ change: (Int, inout AuditedRecord) -> Void = { _, _ in }
  ) -> [AuditedRecord] {
    records.enumerated().map { index, record in
      let all = [record.instruction, record.input, record.output].joined(separator: "\u{0}")
      var audited = AuditedRecord(
        fingerprint: Fingerprint(record), content: ContentHash(UInt64(bitPattern: Int64(all.hashValue)), 0),
        place: validation.contains(index) ? .validation : .training, tokens: 40, promptTokens: 20, removedTokens: 0,
        endsInEndOfText: true)
      change(index, &audited)
      return audited
    }
  }

  private func kinds(_ audit: Audit) -> [String] {
    audit.findings.map { "\($0.kind.rawValue) \($0.record)" + ($0.other.map { " \($0)" } ?? "") }
  }

  @Test func nothingIsFoundWhereNothingIs() {
    let audit = Audit(audited(Self.clean(500), validation: Set(stride(from: 0, to: 500, by: 20))))
    #expect(audit.findings == [])
    #expect(audit.cutShort == 0)
  }

  @Test func duplicatesAreFoundOnTheirSide() {
    var records = Self.clean(30)
    records[20] = records[3]
    records[21] = records[3]
    records[22] = records[5]
    records[22].output = records[22].output.replacing("The answer is", with: "The answer, then, is")
    // Other case, spacing and quotation marks are the same words.
    records[23] = records[6]
    records[23].instruction = "  " + records[6].instruction.uppercased() + "\n"
    let audit = Audit(audited(records, validation: [28, 29]), threshold: 0.7)
    #expect(
      kinds(audit) == [
        "conflicting_answer 22 5", "exact_duplicate 20 3", "exact_duplicate 21 3", "near_duplicate 22 5",
        "near_duplicate 23 6",
      ])
    #expect(audit.findings[4].similarity == 1)
  }

  @Test func leaksAreFoundAcrossSides() {
    var records = Self.clean(40)
    records[30] = records[1]
    records[31] = records[2]
    records[31].output += " Indeed."
    records[32].instruction = records[4].instruction
    records[32].input = records[4].input
    records[33].instruction = records[5].instruction + " please"
    records[33].input = records[5].input
    let audit = Audit(audited(records, validation: Set(30..<40)), threshold: 0.75)
    #expect(
      kinds(audit) == [
        "leaked_record 30 1", "leaked_record 31 2", "leaked_prompt 32 4", "leaked_prompt 33 5",
        "conflicting_answer 31 2", "conflicting_answer 32 4",
      ])
  }

  @Test func answersThatContradictAreFoundOncePerAnswer() {
    var records = Self.clean(10)
    for (index, answer) in [(3, "Paris"), (5, "paris."), (6, "Rome"), (8, "Rome!"), (9, "Oslo")] {
      records[index] = Record(instruction: "Name a capital", input: "", output: answer)
    }
    let found = kinds(Audit(audited(records))).filter { $0.hasPrefix("conflicting") }
    #expect(found == ["conflicting_answer 6 3", "conflicting_answer 9 3"])
  }

  @Test func flawsOfOneRecordAreFound() {
    var records = Self.clean(12)
    records[1].output = " \n\t"
    records[2].output = "Yes"
    records[3].output = "First we mix the flour with the butter and the"
    records[4].output = "```python\nprint(1)\n"
    records[5].output = "Short, and,"
    records[6].output = "```\nx\n```\nAnd this is all there is to say about it"
    let list = audited(records) { index, record in
      switch index {
      case 2: record.tokens = 22
      case 7: record.endsInEndOfText = false
      case 8: record.removedTokens = 5
      case 9: record.place = .droppedAnswerTooLong
      case 10: record.place = .droppedTooLong
      default: break
      }
    }
    #expect(
      kinds(Audit(list)) == [
        "missing_eos 7", "answer_too_long 9", "too_long 10", "truncated_prompt 8", "cut_answer 3", "cut_answer 4",
        "empty_answer 1", "one_token_answer 2",
      ])
  }

  @Test func scriptsWithoutSpacesAreCompared() {
    var records = Self.clean(4)
    let text = "请用三句话介绍一下中国古代四大发明对世界文明发展的影响"
    records[1] = Record(instruction: text, input: "", output: "造纸术使知识得以保存和传播，指南针推动了远洋航行。")
    records[3] = records[1]
    records[3].instruction = text.replacing("三句话", with: "五句话")
    #expect(kinds(Audit(audited(records))) == ["near_duplicate 3 1"])
  }

  @Test func kinOfAllSizesIsCutShortOrQuick() {
    // All the same but for a number: each like the first, none compared with more than that.
    let records = (0..<5000).map { number in
      Record(
        instruction: "Repeat the following sentence about the weather in the mountains \(number) times, please",
        input: "", output: "The snow fell on the mountains all night and in the morning the sun came out again.")
    }
    let clock = ContinuousClock()
    let start = clock.now
    let audit = Audit(audited(records))
    #expect(audit.findings.count { $0.kind == .nearDuplicate && $0.other == 0 } == 4999)
    #expect(clock.now - start < .seconds(20))
  }
}
