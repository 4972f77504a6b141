import Tokenizing

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
