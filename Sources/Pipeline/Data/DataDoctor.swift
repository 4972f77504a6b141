import Artifacts
import Auditing
import Core
import Evaluating
import Files
import Kernels
import Models
import SampleEncoding

/// What is wrong with prepared data, each finding with its FILE:LINE.
public struct DataReport: Encodable, Sendable {
  public struct Finding: Encodable, Sendable {
    public var kind: Auditing.Finding.Kind
    public var place: String
    /// The record that it is like, or contradicts.
    public var other: String?
    public var similarity: Double?
    /// Tokens cut from its prompt.
    public var removedTokens: Int?
    /// For `DataDoctor.record`: more than one record may start on a line.
    public var number: Int
    public var otherNumber: Int?

    private enum CodingKeys: CodingKey { case kind, place, other, similarity, removedTokens }
  }

  public struct Lengths: Encodable, Sendable {
    public var tokens: PreparedSummary.Lengths
    public var prompt: PreparedSummary.Lengths
    /// EOS included.
    public var answer: PreparedSummary.Lengths
  }

  public struct RecordLoss: Encodable, Sendable {
    public var place: String
    /// Mean over the answer's tokens, EOS included, in nats.
    public var loss: Double
    public var tokens: Int
    public var number: Int

    private enum CodingKeys: CodingKey { case place, loss, tokens }
  }

  public struct Losses: Encodable, Sendable {
    /// Over all supervised tokens.
    public var mean: Double
    /// The highest first.
    public var records: [RecordLoss]
  }

  public var prepared: String
  /// In the prepared data.
  public var records: Int
  public var training: Int
  public var validation: Int
  /// Two texts are nearly the same from this Jaccard similarity of their pairs of neighbouring words on.
  public var similarity: Double
  /// Records for which only the first of very many similar ones were looked at.
  public var cutShort: Int
  /// How many findings there are of each kind, those that `findings` leaves out for a limit included.
  public var counts: [String: Int]
  public var lengths: Lengths
  /// By kind, then by record.
  public var findings: [Finding]
  public var losses: Losses?

  public func count(_ kind: Auditing.Finding.Kind) -> Int { counts[kind.rawValue] ?? 0 }

  /// With no more than `limit` findings of each kind, and of losses the highest; counts stay.
  public func limited(to limit: Int) -> DataReport {
    var report = self
    var shown: [Auditing.Finding.Kind: Int] = [:]
    report.findings.removeAll { finding in
      shown[finding.kind, default: 0] += 1
      return shown[finding.kind, default: 0] > limit
    }
    report.losses?.records.removeLast(max(0, (losses?.records.count ?? 0) - limit))
    return report
  }
}

/// Looks into prepared data for what its owner may want to mend before training on it.
public final class DataDoctor {
  public let report: DataReport
  private let texts: RecordTexts
  private let origins: [(source: Int, sample: Int)]
  private let data: PreparedData

  /// With `losses`, computes every record's loss under the base; `progress` gets how many are done. Throws what is missing
  /// or damaged in the workspace.
  public init(
    _ data: PreparedData, workspace: Workspace, similarity: Double, losses: Bool, threads: Int,
    progress: (Int) -> Void = { _ in }
  ) throws {
    self.data = data
    texts = try RecordTexts(data, store: workspace.store)
    let records: [AuditedRecord]
    (records, origins) = try Self.audited(data, texts, threads: threads)
    let audit = Audit(records, threshold: similarity)
    let origins = origins
    func place(_ number: Int) -> String {
      data.place(source: origins[number].source, sample: origins[number].sample)
    }
    let findings = audit.findings.map { finding in
      DataReport.Finding(
        kind: finding.kind, place: place(finding.record), other: finding.other.map(place),
        similarity: finding.similarity,
        removedTokens: finding.kind == .truncatedPrompt ? records[finding.record].removedTokens : nil,
        number: finding.record, otherNumber: finding.other)
    }
    let kept = records.prefix(data.count)
    report = DataReport(
      prepared: data.artifact.path, records: data.count, training: data.training.count,
      validation: data.validation.count, similarity: similarity, cutShort: audit.cutShort,
      counts: Dictionary(
        uniqueKeysWithValues: Finding.Kind.allCases.map { kind in (kind.rawValue, findings.count { $0.kind == kind }) }),
      lengths: DataReport.Lengths(
        tokens: PreparedSummary.Lengths(kept.map { $0.tokens - $0.removedTokens }),
        prompt: PreparedSummary.Lengths(kept.map { $0.promptTokens - $0.removedTokens }),
        answer: PreparedSummary.Lengths(kept.map { $0.tokens - $0.promptTokens })),
      findings: findings, losses: losses ? try Self.losses(data, workspace, threads: threads, progress: progress) : nil)
  }

  /// The record that a finding or a loss is about: of a conversation the last answer and what comes before it.
  public func record(_ number: Int) throws -> Record {
    let (source, sample) = origins[number]
    return try texts.record(Int(data.sources[source].index[sample].record), source: source).lastExchange
  }

  /// The kept records in their order, then those that were dropped for their length; and where each is.
  private static func audited(
    _ data: PreparedData, _ texts: RecordTexts, threads: Int
  ) throws -> ([AuditedRecord], [(source: Int, sample: Int)]) {
    let fingerprints = try data.sources.indices.map {
      try texts.map($0, threads: threads) { Fingerprint($0.lastExchange) }
    }
    func audited(_ source: Int, _ sample: Int, _ place: AuditedRecord.Place, removed: Int, ends: Bool) -> AuditedRecord
    {
      let entry = data.sources[source].index[sample]
      return AuditedRecord(
        fingerprint: fingerprints[source][Int(entry.record)], content: ContentHash(entry.hash, entry.otherHash),
        place: place, tokens: Int(entry.tokenCount), promptTokens: Int(entry.tokenCount - entry.supervisedCount),
        removedTokens: removed, endsInEndOfText: ends)
    }
    var records: [AuditedRecord] = []
    var origins: [(source: Int, sample: Int)] = []
    var isKept = data.sources.map { [Bool](repeating: false, count: $0.index.count) }
    for (position, entry) in data.entries.enumerated() {
      let sample = data.sample(position)
      let (source, number) = (Int(entry.source), Int(entry.sample))
      isKept[source][number] = true
      origins.append((source, number))
      records.append(
        audited(
          source, number, entry.isValidation == 0 ? .training : .validation, removed: Int(entry.removed),
          ends: data.summary.layout.kind == .chat
            ? data.summary.remarks.turnsWithoutEnd == 0 || sample.supervised.isEmpty
            : sample.promptCount < sample.tokens.count && sample.tokens.last == data.summary.endOfText))
    }
    for (source, kept) in isKept.enumerated() {
      for (number, entry) in data.sources[source].index.enumerated() where !kept[number] {
        switch FittingOutcome(
          tokens: Int(entry.tokenCount), prompt: Int(entry.promptCount), maxLength: data.summary.maxLength,
          overlong: .drop, cutsPrompts: data.summary.layout.kind != .chat)
        {
        case .dropped(let reason):
          let place: AuditedRecord.Place = reason == .tooLong ? .droppedTooLong : .droppedAnswerTooLong
          records.append(audited(source, number, place, removed: 0, ends: true))
          origins.append((source, number))
        // Taken out as a duplicate.
        case .kept, .truncated, .refused: break
        }
      }
    }
    return (records, origins)
  }

  private static func losses(
    _ data: PreparedData, _ workspace: Workspace, threads: Int, progress: (Int) -> Void
  ) throws -> DataReport.Losses {
    let compute = Compute(threads: threads)
    let opened = try OpenedModel(data.summary.model, in: workspace)
    try opened.check(against: data)
    let base = try BaseModel(opened, workspace: workspace, quantization: nil, usesPanels: false, compute: compute)
    let likelihoods = try answerLikelihoods(
      InferencePass(base.decoder, nil, compute), count: data.count, progress: progress
    ) { data.sample($0) }
    let ranked = likelihoods.indices.filter { likelihoods[$0].tokens > 0 }.map { position in
      let likelihood = likelihoods[position]
      return (position, likelihood.loss / Double(likelihood.tokens), likelihood.tokens)
    }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    let total = likelihoods.reduce((loss: 0.0, tokens: 0)) { ($0.loss + $1.loss, $0.tokens + $1.tokens) }
    return DataReport.Losses(
      mean: total.loss / Double(max(1, total.tokens)),
      records: ranked.map { DataReport.RecordLoss(place: data.place($0.0), loss: $0.1, tokens: $0.2, number: $0.0) })
  }
}
