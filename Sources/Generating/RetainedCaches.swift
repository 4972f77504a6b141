import Models

/// What of a sequence is kept when it has ended, for others that begin with it.
public enum Retention: Sendable {
  case nothing
  /// Its prompt: what is shared then has the bits that it would be computed with, so that no answer depends on what was asked
  /// before.
  case prompts
  /// Its answer too, for the next turn of a conversation: that is computed by other kernels than a prompt's, whose sums differ in
  /// the last bits.
  case everything
}

/// Keys and values of sequences that have ended, the least recently used of which go first.
final class RetainedCaches {
  private struct Entry {
    var cache: KeyValueCache
    var adapter: Adapter?
  }

  let retention: Retention
  private let limit: Int
  /// The most recently used last.
  private var entries: [Entry] = []

  init(_ retention: Retention, limit: Int) { (self.retention, self.limit) = (retention, limit) }

  var isEmpty: Bool { entries.isEmpty }

  /// The one with the most tokens that a sequence begins with, and how many; it counts as used.
  func longest(_ sequence: ArraySlice<Int32>, _ adapter: Adapter?) -> (cache: KeyValueCache, count: Int)? {
    var best: (index: Int, count: Int)?
    for (index, entry) in entries.enumerated() where entry.adapter === adapter {
      let count = entry.cache.shared(with: sequence)
      if count > best?.count ?? 0 { best = (index, count) }
    }
    guard let best else { return nil }
    let entry = entries.remove(at: best.index)
    entries.append(entry)
    return (entry.cache, best.count)
  }

  /// Keeps what there is of a sequence, its first `promptCount` tokens or all, in the place of those that it begins with.
  func keep(_ cache: KeyValueCache, promptCount: Int, _ adapter: Adapter?) {
    switch retention {
    case .nothing: return
    case .prompts: cache.truncate(to: promptCount)
    case .everything: break
    }
    guard cache.count > 0 else { return }
    entries.removeAll { entry in
      entry.adapter === adapter && entry.cache.count <= cache.count && cache.tokens.starts(with: entry.cache.tokens)
    }
    entries.append(Entry(cache: cache, adapter: adapter))
    while entries.count > limit { entries.removeFirst() }
  }

  func removeOldest() { if !entries.isEmpty { entries.removeFirst() } }

  /// Forgets what was computed with an adapter.
  func remove(_ adapter: Adapter) { entries.removeAll { $0.adapter === adapter } }
}

extension KeyValueCache {
  /// How many tokens of the start of `sequence` it has and can be shared for.
  func shared(with sequence: ArraySlice<Int32>) -> Int {
    let common = sharedCount(tokens[...], sequence)
    return common == 0 ? 0 : reach(common)
  }
}

/// How many tokens two sequences begin with alike.
func sharedCount(_ first: ArraySlice<Int32>, _ second: ArraySlice<Int32>) -> Int {
  let limit = min(first.count, second.count)
  var count = 0
  while count < limit, first[first.startIndex + count] == second[second.startIndex + count] { count += 1 }
  return count
}
