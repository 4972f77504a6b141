import Synchronization

/// A count that goes on while this process computes: it is looked at to tell a process that stands still from one that is slow.
public enum Activity {
  private static let ticks = Atomic<Int>(0)

  /// Pieces of loops that their callers' threads have begun, and whatever else calls `tick`.
  public static var count: Int { ticks.load(ordering: .relaxed) }

  /// One of two at the same moment may be lost, which changes nothing: the count has gone on.
  public static func tick() { ticks.store(ticks.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }
}
