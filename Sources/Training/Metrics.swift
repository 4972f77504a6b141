import Core
import Files
import FoundationEssentials

/// A line of `metrics.jsonl`.
public enum Metric: Sendable, Equatable {
  case train(TrainMetric)
  case eval(EvalMetric)
  case sample(SampleMetric)

  public var step: Int {
    switch self {
    case .train(let metric): metric.step
    case .eval(let metric): metric.step
    case .sample(let metric): metric.step
    }
  }
}

/// One update.
public struct TrainMetric: Sendable, Equatable, Codable {
  public var kind = "train"
  /// Updates done, from 1.
  public var step: Int
  /// Mean over the supervised tokens of the effective batch, in nats.
  public var loss: Double
  /// Share of supervised tokens that were the most likely one.
  public var accuracy: Double
  public var lr: Double
  /// Before clipping.
  public var grad_norm: Double
  /// Each record's tokens counted once, shared or not.
  public var tokens: Int
  public var supervised_tokens: Int
  /// Wall time of this update, batch preparation and optimiser included.
  public var seconds: Double
  /// Since the command started.
  public var elapsed: Double
  public var tokens_per_second: Double
}

/// One validation, token means.
public struct EvalMetric: Sendable, Equatable, Codable {
  public var kind = "eval"
  public var step: Int
  public var loss: Double
  public var perplexity: Double
  public var accuracy: Double

  public init(step: Int, loss: Double, perplexity: Double, accuracy: Double) {
    self.step = step
    self.loss = loss
    self.perplexity = perplexity
    self.accuracy = accuracy
  }
}

/// What the model answers at a validation.
public struct SampleMetric: Sendable, Equatable, Codable {
  public var kind = "sample"
  public var step: Int
  public var prompt: String
  public var text: String

  public init(step: Int, prompt: String, text: String) {
    self.step = step
    self.prompt = prompt
    self.text = text
  }
}

extension Metric {
  private struct KindOnly: Decodable { var kind: String }
  private struct StepOnly: Decodable { var step: Int }

  /// nil for what is no whole line.
  static func step(ofLine line: some Sequence<UInt8>) -> Int? {
    try? JSONDecoder().decode(StepOnly.self, from: Data(line)).step
  }

  /// Every line of `metrics.jsonl`; none where the run has no such file yet. A last line without its end is one that is being
  /// written. Throws `badData`, naming the line, for what is no metric.
  public static func read(_ path: String) throws -> [Metric] {
    guard try fileExists(path) else { return [] }
    let decoder = JSONDecoder()
    let lines = try readFile(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
    return try lines.enumerated().map { index, line in
      let line = Data(line)
      do {
        switch try decoder.decode(KindOnly.self, from: line).kind {
        case "train": return .train(try decoder.decode(TrainMetric.self, from: line))
        case "eval": return .eval(try decoder.decode(EvalMetric.self, from: line))
        case "sample": return .sample(try decoder.decode(SampleMetric.self, from: line))
        default: throw SFTError(.badData, "holds a kind of line that is not known", file: path, line: index + 1)
        }
      } catch is DecodingError {
        throw SFTError(.badData, "is not a line of a run's metrics", file: path, line: index + 1)
      }
    }
  }
}

/// `metrics.jsonl`: appended to line by line, each in one write.
final class MetricsLog {
  private let path: String
  private let handle: AppendFile

  /// Goes on after the last line of a step up to `step`; what a stopped run wrote beyond its checkpoint is taken off.
  init(_ path: String, keepingUpTo step: Int) throws {
    self.path = path
    if try fileExists(path) {
      let kept = try readFile(path).split(separator: UInt8(ascii: "\n")).filter { line in
        Metric.step(ofLine: line).map { $0 <= step } ?? false
      }
      try writeAtomically(Array(kept.map { $0 + [UInt8(ascii: "\n")] }.joined()), to: path)
    }
    handle = try AppendFile(path)
  }

  func write(_ metric: Metric) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let line =
      switch metric {
      case .train(let metric): try encoder.encode(metric)
      case .eval(let metric): try encoder.encode(metric)
      case .sample(let metric): try encoder.encode(metric)
      }
    try handle.write(Array(line) + [UInt8(ascii: "\n")])
  }

  func sync() throws { try handle.sync() }
}
