/// What a training takes, worked out before it is started.
public struct TrainingPlan: Sendable, Codable, Equatable {
  /// A part of the memory or of the disk, by what it is for.
  public struct Part: Sendable, Codable, Equatable {
    public var name: String
    public var bytes: Int
  }

  /// A change of flags, and what the training then takes.
  public struct Suggestion: Sendable, Codable, Equatable {
    /// As they are typed, such as "--gradient-checkpointing --batch-size 4 --grad-accum 2".
    public var flags: String
    public var peakMemoryBytes: Int
    public var secondsPerUpdate: Double
  }

  public var model: String
  /// The most that is in memory at a time: pages of mapped weights that are computed with included.
  public var peakMemoryBytes: Int
  /// What it is made of, where updates are computed.
  public var memory: [Part]
  /// What this process may have; nil where the system does not say.
  public var availableMemoryBytes: Int?
  /// Whether that is enough.
  public var fits: Bool
  /// What the run writes, a quantised base and stored outputs that are not there yet included.
  public var diskBytes: Int
  public var disk: [Part]
  public var freeDiskBytes: Int?
  public var updates: Int
  /// On average, validation and checkpoints apart.
  public var secondsPerUpdate: Double
  /// Of all updates and validations.
  public var seconds: Double
  public var records: Int
  /// Each record's counted once.
  public var tokensPerEpoch: Int
  /// The largest micro-batch: rows that go through the model, after prefixes are shared.
  public var largestBatchRows: Int
  /// What would make it fit; empty where it does.
  public var suggestions: [Suggestion]
}
