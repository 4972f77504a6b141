import Core
import Models
import Tokenizing

/// How a text is continued.
public struct GenerationSettings: Sendable, Equatable, Codable {
  public var maxNewTokens: Int
  public var sampling: SamplingSettings
  public var seed: UInt64
  /// The text ends before the first of these that it would contain.
  public var stop: [String]

  public init(
    maxNewTokens: Int = 128, sampling: SamplingSettings = SamplingSettings(), seed: UInt64 = 42, stop: [String] = []
  ) {
    self.maxNewTokens = maxNewTokens
    self.sampling = sampling
    self.seed = seed
    self.stop = stop
  }

  /// Throws `usage` for what makes no sense.
  public func validate() throws {
    guard maxNewTokens >= 1 else { throw SFTError(.usage, "the number of new tokens must be at least 1") }
    guard !stop.contains("") else { throw SFTError(.usage, "a stop string is empty") }
    try sampling.validate()
  }
}

/// A continuation.
public struct Generation: Sendable, Equatable, Codable {
  public enum FinishReason: String, Sendable, Codable {
    /// EOS, or a stop string.
    case stop
    /// The limit of new tokens, or the end of the model's context.
    case length
  }

  public var text: String
  /// EOS not among them; those of a stop string are.
  public var token_ids: [Int32]
  public var finish_reason: FinishReason
}

/// Continues texts with a key/value cache, one at a time.
public struct Generator {
  public let pass: InferencePass
  public let tokenizer: Tokenizer
  private let endTokens: Set<Int32>
  private let cache: KeyValueCache
  private var cached: [Int32] = []

  /// Throws `badData` where the tokenizer has ids that the model does not.
  public init(_ pass: InferencePass, _ tokenizer: Tokenizer) throws {
    let configuration = pass.decoder.configuration
    guard tokenizer.vocabularyCount <= configuration.vocabularySize else {
      throw SFTError(
        .badData, "the tokenizer has \(tokenizer.vocabularyCount) tokens, the model \(configuration.vocabularySize)")
    }
    self.pass = pass
    self.tokenizer = tokenizer
    endTokens = Set(configuration.endTokens.map(Int32.init) + [tokenizer.endOfText].compactMap { $0 })
    cache = KeyValueCache(pass.decoder, capacity: configuration.contextLength)
  }

  /// Continues `prompt`. `stream` gets the text as it grows, never half a character nor a part of a stop string.
  ///
  /// Throws `badData` where the prompt is empty or leaves no room in the model's context.
  public func generate(
    _ prompt: [Int32], _ settings: GenerationSettings, stream: (String) -> Void = { _ in }
  ) throws -> Generation {
    try settings.validate()
    let room = cache.capacity - prompt.count
    guard !prompt.isEmpty else { throw SFTError(.badData, "the prompt is empty") }
    guard room > 0 else {
      throw SFTError(
        .badData,
        "the prompt has \(grouped(prompt.count)) tokens, which leaves no room in the model's context of "
          + grouped(cache.capacity))
    }
    var random = SeededGenerator(seed: settings.seed, stream: 0x73_616d_706c)
    var output = StoppingText(decoder: tokenizer.makeDecoder(skipSpecialTokens: true), stops: settings.stop)
    var ids: [Int32] = []
    cache.truncate(to: 0)
    var logits = pass.extend(cache, with: prompt)
    while true {
      let token = Int32(settings.sampling.choose(logits, &random))
      guard logits[Int(token)].isFinite, !logits.contains(where: \.isNaN) else {
        throw SFTError(
          .badData, "the model's output is not a finite number: its weights or the adapter's hold values that are not")
      }
      if endTokens.contains(token) { return finish(.stop) }
      ids.append(token)
      // Rows of the embedding beyond the tokenizer's vocabulary stand for no text.
      if tokenizer.token(token) != nil {
        stream(try output.push(token))
        if output.isStopped { return finish(.stop) }
      }
      if ids.count == min(settings.maxNewTokens, room) { return finish(.length) }
      logits = pass.extend(cache, with: [token])
    }

    func finish(_ reason: Generation.FinishReason) -> Generation {
      stream(output.finish())
      return Generation(text: output.text, token_ids: ids, finish_reason: reason)
    }
  }
}

/// Text that grows token by token and ends before a stop string.
struct StoppingText {
  private var decoder: StreamingDecoder
  private let stops: [String]
  /// What has been given out.
  private(set) var text = ""
  /// Decoded, but held back: it may be the beginning of a stop string.
  private var held = ""
  private(set) var isStopped = false

  init(decoder: StreamingDecoder, stops: [String]) {
    self.decoder = decoder
    self.stops = stops
  }

  /// Returns the text that has become certain.
  mutating func push(_ token: Int32) throws -> String {
    held += try decoder.push(token)
    return release(isLast: false)
  }

  /// Ends the text and returns the rest of it.
  mutating func finish() -> String {
    if isStopped { return "" }
    held += decoder.finish()
    return release(isLast: true)
  }

  private mutating func release(isLast: Bool) -> String {
    let bytes = Array(held.utf8)
    let found = stops.compactMap { firstIndex(of: Array($0.utf8), in: bytes) }.min()
    let certain: Int
    if let found {
      isStopped = true
      certain = found
    } else {
      certain = isLast ? bytes.count : bytes.count - (stops.map { overlap(Array($0.utf8), bytes) }.max() ?? 0)
    }
    let released = String(decoding: bytes[..<certain], as: UTF8.self)
    held = isStopped ? "" : String(decoding: bytes[certain...], as: UTF8.self)
    text += released
    return released
  }

  private func firstIndex(of stop: [UInt8], in bytes: [UInt8]) -> Int? {
    guard bytes.count >= stop.count else { return nil }
    return (0...bytes.count - stop.count).first { bytes[$0..<$0 + stop.count].elementsEqual(stop) }
  }

  /// The longest end of `bytes` that a stop string starts with.
  private func overlap(_ stop: [UInt8], _ bytes: [UInt8]) -> Int {
    (1..<max(2, min(stop.count, bytes.count + 1))).reversed()
      .first { $0 < stop.count && bytes.suffix($0).elementsEqual(stop.prefix($0)) } ?? 0
  }
}
