import Core
import Distributing
import Files
import FoundationEssentials
import Glibc
import Synchronization
import Training

/// The ranks of a training from the side of rank 0, which runs the verb: the others wait for what it asks them to train.
public final class RankSession: Sendable {
  public let group: RankGroup
  /// Asked from any thread: whether this process was told to stop, or is about to be.
  let isEnding: @Sendable () -> Bool
  /// Tells the user something, from any thread.
  let tell: @Sendable (String) -> Void
  /// What the user may want to know of where the ranks compute.
  let remarks: [String]

  /// Takes this rank's place among the host's CPUs: before anything has asked how many threads there may be.
  public init(
    _ group: RankGroup, isEnding: @escaping @Sendable () -> Bool, tell: @escaping @Sendable (String) -> Void
  ) throws {
    (self.group, self.isEnding, self.tell) = (group, isEnding, tell)
    remarks = try RankPlacing.place(group)
  }

  /// The library of MPI: `$SFT_MPI_LIBRARY`, else `sft-mpi.so` beside the program, else in `../lib/sft`. nil where it is not
  /// there.
  public static var library: String? {
    if let path = getenv("SFT_MPI_LIBRARY").map({ String(cString: $0) }), !path.isEmpty { return path }
    guard let program = canonicalPath("/proc/self/exe") else { return nil }
    let folder = parentPath(program)
    return ["\(folder)/sft-mpi.so", "\(parentPath(folder))/lib/sft/sft-mpi.so"].first {
      (try? fileExists($0)) == true
    }
  }

  /// Has the other ranks open what the run needs. Throws what keeps one from it: before the first step.
  func begin(_ folder: RunFolder, _ configuration: RunConfiguration, _ workspace: Workspace, threads: Int?) throws {
    let command = RankCommand(
      machine: try .current(), workspace: canonicalPath(workspace.path) ?? workspace.path, run: folder.name,
      configuration: configuration, threads: threads)
    let text = Array(try jsonEncoder().encode(command))
    for other in group.others { try group.send(note: text, to: other) }
    for _ in group.others { _ = try group.note() }
  }

  /// How a run is divided, as a line for people.
  func words(_ settings: TrainingSettings) -> String {
    let (ranks, hosts, shares) = (group.count, Set(group.hosts).count, settings.shareCount)
    return "ranks       \(ranks) on \(counted(hosts, "host")); an update is the sum of \(counted(shares, "share"))"
      + (shares < ranks ? ", so that \(ranks - shares) of them only help to validate" : "")
  }

  /// Ends the other ranks, whatever they are at. `code` is what this process is going to end with.
  public func end(code: Int32) { group.end(code: code) }

  /// Saves where the training stands as soon as this process is told to stop, without waiting for the update that is being
  /// computed: launchers give a process a second or two from the first signal on.
  func saveAtOnce(_ trainer: Trainer) -> EarlySaving { EarlySaving(trainer, self) }
}

/// Waits beside a training for the process to be told to stop, and saves then.
final class EarlySaving: Sendable {
  private let isFinished = Atomic<Bool>(false)

  fileprivate init(_ trainer: Trainer, _ session: RankSession) {
    nonisolated(unsafe) let trainer = trainer
    _ = startThread {
      while !self.isFinished.load(ordering: .relaxed) {
        if session.isEnding() {
          // What keeps it from being saved keeps the training from it too, which says so.
          if let step = try? trainer.saveAtOnce() { session.tell("a checkpoint of step \(step) is saved") }
          return
        }
        usleep(10_000)
      }
    }
  }

  /// The training is over.
  func end() { isFinished.store(true, ordering: .relaxed) }
}

/// What the ranks are asked to do for one run.
struct JobRanks {
  let session: RankSession
  private let workspace: Workspace
  private let threads: Int?

  /// `threads` is of each rank; nil for what each has.
  init(_ session: RankSession, _ workspace: Workspace, threads: Int?) {
    (self.session, self.workspace, self.threads) = (session, workspace, threads)
  }

  func begin(_ folder: RunFolder, _ configuration: RunConfiguration) throws {
    try session.begin(folder, configuration, workspace, threads: threads)
  }
}
