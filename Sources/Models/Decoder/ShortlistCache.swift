import Kernels
import Synchronization

/// The shortlist of a frozen head, made when it is first asked for.
final class ShortlistCache: Sendable {
  private enum State: Sendable {
    case unmade
    case made(HeadShortlist?, excluding: [Int])
  }

  private let state = Mutex(State.unmade)

  /// Makes it anew where other rows are excluded than before.
  func shortlist(of head: HalfMatrix, excluding rows: [Int], _ compute: Compute) -> HeadShortlist? {
    state.withLock { state in
      if case .made(let shortlist, let excluded) = state, excluded == rows { return shortlist }
      let shortlist = HeadShortlist(head, excluding: rows, compute)
      state = .made(shortlist, excluding: rows)
      return shortlist
    }
  }
}
