import Models

/// A sequence whose keys and values are kept, and its tokens: of another that begins with them, only the rest is computed.
package final class KeptSequence {
  package let cache: KeyValueCache
  private var tokens: [Int32] = []

  package init(_ decoder: Decoder) { cache = KeyValueCache(decoder, capacity: decoder.configuration.contextLength) }

  package var count: Int { cache.count }

  /// Forgets what does not begin `sequence`. Where a window has let go what the rest would see, that is all.
  package func keep(_ sequence: ArraySlice<Int32>) {
    cache.truncate(to: zip(tokens, sequence).prefix { $0 == $1 }.count)
    tokens.removeLast(tokens.count - cache.count)
  }

  /// What follows the last of `added`, valid until the next pass.
  package func extend(_ pass: InferencePass, with added: [Int32]) -> NextLogits {
    tokens += added
    return pass.advance(cache, with: added)
  }
}
