import Core
import Files
import JSON
import Kernels
import Models
import Reporting
import Training

/// A learning-rate range test on prepared data: what `sft train` would start with, trained at rising rates. Nothing of it is
/// kept but the curve.
public struct LearningRateFinder {
  private let start: TrainRun.SetUp
  private let range: RateRange
  /// What the curve depends on.
  public let settings: Settings

  /// As `lr-find.json` has them: model and data, every option that an update depends on, and the range.
  public struct Settings: Sendable, Equatable, Encodable {
    public let model: String
    private let members: [String: JSONValue]

    init(_ configuration: RunConfiguration, _ range: RateRange) {
      model = configuration.model
      let options = RunOption.all.filter { $0.role == .update || $0.role == .computing }.compactMap { option in
        option.recorded(configuration).map { (option.parameter, $0) }
      }
      members = Dictionary(
        options + [
          ("model", .string(model)), ("base_digest", .string(configuration.baseDigest.description)),
          ("prepared", .string(configuration.prepared.description)),
          ("method", .string(configuration.settings.method.rawValue)), ("lr_from", .number(range.lowest)),
          ("lr_to", .number(range.highest)), ("steps", .integer(range.steps)),
        ]
      ) { first, _ in first }
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: MemberKey.self)
      for (name, value) in members { try Self.encode(value, &container, MemberKey(stringValue: name)) }
    }

    private static func encode(
      _ value: JSONValue, _ container: inout KeyedEncodingContainer<MemberKey>, _ key: MemberKey
    ) throws {
      switch value {
      case .bool(let flag): try container.encode(flag, forKey: key)
      case .integer(let number): try container.encode(number, forKey: key)
      case .number(let number): try container.encode(number, forKey: key)
      case .string(let text): try container.encode(text, forKey: key)
      case .array(let elements) where elements.contains { $0.string != nil }:
        try container.encode(elements.compactMap(\.string), forKey: key)
      case .array(let elements): try container.encode(elements.compactMap(\.double), forKey: key)
      case .null, .object: try container.encodeNil(forKey: key)
      }
    }
  }

  private struct MemberKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Opens everything; `options.maxSteps` is the range's. Throws what `sft train` would.
  public init(
    _ options: TrainOptions, range: RateRange, workspace: Workspace, inputs: TrainingInputs = TrainingInputs(),
    planned: @escaping (TrainingPlan) -> Void, note: @escaping (String) -> Void
  ) throws {
    var options = options
    options.maxSteps = range.steps
    let run = TrainRun(workspace: workspace, options: options, inputs: inputs, shouldStop: { false }) {
      switch $0 {
      case .note(let text): note(text)
      case .planned(let plan): planned(plan)
      default: break
      }
    }
    try run.announce(run.plan(isKept: false))
    start = try run.setUp()
    self.range = range
    settings = Settings(try run.configuration(start), range)
    start.settings.remarks(cores: Compute.availableThreads).forEach(note)
  }

  /// Runs the test; `progress` gets each of its points. Throws `badData` where it ends at once because the model's files hold
  /// values that are not finite.
  public func callAsFunction(progress: (RangePoint) -> Void) throws -> RangeReport {
    let data = start.data
    let decoder = try start.decoder()
    let parts = TrainingParts(
      decoder, start.trained, count: data.training.count, samples: { data.sample(data.training[$0]) },
      memory: PassMemory.forTraining(
        start.settings, adapter: start.trained.adapter != nil, quantized: decoder.isQuantized,
        blocks: decoder.configuration.layers))
    let test = try RangeTest(parts, settings: start.settings, range: range, progress: progress)
    if test.failure != nil { try start.base.checkpoint.checkFinite() }
    return RangeReport(settings, test)
  }
}

/// A range test and what it says, as files and as one value.
public struct RangeReport: Encodable {
  public struct Point: Encodable {
    public var step: Int
    public var lr: Double
    public var loss: Double
    /// What the suggestion is read from.
    public var smoothed: Double
    public var runningLoss: Double
  }

  public var settings: LearningRateFinder.Settings
  public var points: [Point]
  public var end: RangeEnd
  /// Where loss or gradient was not finite.
  public var failure: RangeTest.Failure?
  /// nil where the curve gives no answer, for the `reason`.
  public var suggestion: Double?
  public var reason: String?
  /// The rates where the smoothed loss falls the fastest, and where it is lowest.
  public var steepest: Double?
  public var lowest: Double?
  /// Losses worth showing; the file need not have them.
  public let shown: ClosedRange<Double>?

  private enum CodingKeys: CodingKey {
    case settings, points, end, failure, suggestion, reason, steepest, lowest
  }

  init(_ settings: LearningRateFinder.Settings, _ test: RangeTest) {
    let suggestion = RateSuggestion(test)
    self.settings = settings
    points = zip(test.points, suggestion.smoothed).map {
      Point(step: $0.step, lr: $0.lr, loss: $0.loss, smoothed: $1, runningLoss: $0.runningLoss)
    }
    (end, failure) = (test.end, test.failure)
    (self.suggestion, reason) = (suggestion.rate, suggestion.reason)
    (steepest, lowest, shown) = (suggestion.steepest, suggestion.lowest, suggestion.shown)
  }

  /// What `write` writes.
  public static let files = ["lr-find.json", "lr-find.csv", "lr-find.svg"]

  /// Writes `lr-find.json`, `lr-find.csv` and `lr-find.svg` into `lr-find/ID` of the workspace, where the ID is of the
  /// JSON's content, so the same test has the same place. Returns the folder.
  public func write(to workspace: Workspace) throws -> String {
    let json = Array(try reportEncoder(pretty: true).encode(self)) + [UInt8(ascii: "\n")]
    let folder = "\(workspace.path)/lr-find/\(json.withUnsafeBytes { Digest(of: $0) }.short)"
    try writeDirectoryAtomically(folder) { temporary in
      try writeAtomically(json, to: temporary + "/lr-find.json")
      try writeAtomically(csv, to: temporary + "/lr-find.csv")
      try writeAtomically(chart.svg, to: temporary + "/lr-find.svg")
    }
    return folder
  }

  /// The points, as RFC 4180 has it.
  private var csv: String {
    (["step,lr,loss,smoothed,running_loss"]
      + points.map { "\($0.step),\($0.lr),\($0.loss),\($0.smoothed),\($0.runningLoss)" }).map { $0 + "\r\n" }.joined()
  }

  private var chart: RateChart {
    RateChart(
      title: "Loss by learning rate",
      subtitle: suggestion.map { "suggested: \(scientific($0))" } ?? "no suggestion: \(reason ?? "").",
      dots: points.map { ($0.lr, $0.loss) }, curve: points.map { ($0.lr, $0.smoothed) }, shown: shown,
      marks: [suggestion.map { ($0, "suggested \(scientific($0))") }, lowest.map { ($0, "lowest") }].compactMap { $0 })
  }
}
