import Core

/// What a record gives: one sample, or several where the template shows an earlier turn otherwise once others follow it.
public struct EncodedRecord: Sendable, Equatable {
  public var samples: [Sample]
  /// Turns left out from the start so that the rest fits.
  public var removedTurns = 0
  public var remarks = TemplateRemarks()
  /// Bytes of its texts that the vocabulary has no token for, so that they are in no sample.
  public var lostBytes = 0

  public init(_ samples: [Sample]) { self.samples = samples }
}

/// What the owner of data should know of how a template treats them.
public struct TemplateRemarks: Sendable, Codable, Equatable {
  /// Trained turns after which the template writes no token that ends them.
  public var turnsWithoutEnd = 0
  /// Samples that begin with one special token twice.
  public var doubledBeginnings = 0
  /// Messages whose white space at an end the template takes away.
  public var lostSpaces = 0
  /// Messages whose text the template does not write, as of a role that it does not know.
  public var lostMessages = 0
  /// Turns of the assistant that are empty, and so not trained.
  public var emptyTurns = 0

  /// Trained turns that the template asks for with reasoning begun, or left out, and that are not of that kind: they are
  /// trained without what the prompt of inference ends with.
  public var turnsAskedOtherwise = 0
  /// Trained turns whose reasoning the template does not write.
  public var lostThoughts = 0

  public init() {}

  /// What an older version did not know of counts as none.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func count(_ key: CodingKeys) throws -> Int { try values.decodeIfPresent(Int.self, forKey: key) ?? 0 }
    turnsWithoutEnd = try count(.turnsWithoutEnd)
    doubledBeginnings = try count(.doubledBeginnings)
    lostSpaces = try count(.lostSpaces)
    lostMessages = try count(.lostMessages)
    emptyTurns = try count(.emptyTurns)
    turnsAskedOtherwise = try count(.turnsAskedOtherwise)
    lostThoughts = try count(.lostThoughts)
  }

  public static func += (sum: inout TemplateRemarks, other: TemplateRemarks) {
    sum.turnsWithoutEnd += other.turnsWithoutEnd
    sum.doubledBeginnings += other.doubledBeginnings
    sum.lostSpaces += other.lostSpaces
    sum.lostMessages += other.lostMessages
    sum.emptyTurns += other.emptyTurns
    sum.turnsAskedOtherwise += other.turnsAskedOtherwise
    sum.lostThoughts += other.lostThoughts
  }

  /// Each in a sentence without a full stop.
  public var warnings: [String] {
    [
      (
        turnsWithoutEnd, "the template writes no end token after %, so that the model will not learn to stop",
        "trained turn"
      ),
      (doubledBeginnings, "the template writes its first token twice in %", "sample"),
      (lostSpaces, "the template takes the white space around % away", "message"),
      (lostMessages, "the template leaves the text of % out", "message"),
      (emptyTurns, "% of the assistant say nothing and are not trained", "turn"),
      (
        turnsAskedOtherwise,
        "the template's prompt begins or closes the reasoning; it is left out before % of the other kind, which "
          + "inference will ask for otherwise", "trained turn"
      ),
      (lostThoughts, "the template leaves the reasoning of % out, which is not trained", "trained turn"),
    ].filter { $0.0 > 0 }.map { count, words, noun in words.replacing("%", with: counted(count, noun)) }
  }
}
