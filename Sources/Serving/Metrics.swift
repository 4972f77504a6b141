import Core
import Synchronization

/// What a server has answered so far, and how long that took.
final class Metrics: Sendable {
  private struct Answer: Hashable {
    var route: String
    var status: Int
  }

  private struct State {
    var answers: [Answer: Int] = [:]
    var firstToken = Histogram([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120])
    var duration = Histogram([0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600])
    var connections = 0
  }

  private let state = Mutex(State())

  /// `route` is one of a few fixed names, never a client's.
  func answered(_ route: String, _ status: Int) {
    state.withLock { $0.answers[Answer(route: route, status: status), default: 0] += 1 }
  }

  /// From the end of a request's fields to the first text.
  func firstToken(after seconds: Double) { state.withLock { $0.firstToken.add(seconds) } }

  /// From the end of a request's fields to the end of a complete answer.
  func completed(after seconds: Double) { state.withLock { $0.duration.add(seconds) } }

  /// How many connections are open now.
  func connections(_ change: Int) { state.withLock { $0.connections += change } }

  /// Prometheus' text format, version 0.0.4.
  func text(_ engine: EngineStatistics) -> String {
    let state = state.withLock { $0 }
    var text = ""
    func metric(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
      for sample in samples { text += "\(name)\(sample.labels) \(sample.value)\n" }
    }
    let answers = state.answers.sorted { ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status) }
    metric(
      "sft_http_requests_total", "counter", "Answered requests; status 499 where the client went first.",
      answers.map { ("{route=\"\($0.key.route)\",status=\"\($0.key.status)\"}", $0.value) })
    metric("sft_http_connections", "gauge", "Open connections.", [("", state.connections)])
    metric("sft_requests_running", "gauge", "Requests being computed.", [("", engine.running)])
    metric("sft_requests_waiting", "gauge", "Requests in the queue.", [("", engine.waiting)])
    metric("sft_sequences_running", "gauge", "Sequences being computed.", [("", engine.sequences)])
    metric("sft_prompt_tokens_total", "counter", "Tokens of prompts.", [("", engine.promptTokens)])
    metric(
      "sft_cached_prompt_tokens_total", "counter", "Tokens of prompts taken from the cache.",
      [("", engine.cachedTokens)])
    metric("sft_generated_tokens_total", "counter", "Generated tokens.", [("", engine.generatedTokens)])
    metric("sft_cache_blocks_used", "gauge", "Blocks of the key/value cache in use.", [("", engine.usedCacheBlocks)])
    metric("sft_cache_blocks", "gauge", "Blocks of the key/value cache.", [("", engine.cacheBlocks)])
    text += state.firstToken.text("sft_time_to_first_token_seconds", "From a request's arrival to its first text.")
    text += state.duration.text("sft_request_duration_seconds", "From a request's arrival to the end of its answer.")
    return text
  }
}

/// Counts of values up to each of some bounds.
struct Histogram {
  /// Ascending.
  private let bounds: [Double]
  /// Up to each bound and above the one before; the last is of what is above all.
  private var counts: [Int]
  private var sum = 0.0

  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  mutating func add(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
  }

  func text(_ name: String, _ help: String) -> String {
    var text = "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
    var total = 0
    for (bound, count) in zip(bounds.map { plainNumber($0) } + ["+Inf"], counts) {
      total += count
      text += "\(name)_bucket{le=\"\(bound)\"} \(total)\n"
    }
    return text + "\(name)_sum \(sum)\n\(name)_count \(total)\n"
  }
}
