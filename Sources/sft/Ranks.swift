import Core
import Distributing
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization

/// The processes that `mpirun` or its like started beside this one.
enum Ranks {
  private static let joined = Mutex<RankSession?>(nil)

  /// nil where there are none.
  static var session: RankSession? { joined.withLock { $0 } }

  /// Joins the other processes of a launcher, if there is one. The first goes on with what was typed; the others train what that
  /// asks them to, and this does not return. What is wrong is the first one's to say.
  ///
  /// Throws `usage` where a verb is for one process, and where MPI is not there: each process would do the same again.
  static func join(_ typed: TypedArguments) throws {
    guard let launch = Launch.detect(ProcessInfo.processInfo.environment) else { return }
    do {
      if typed.asksForHelp {
        if launch.rank > 0 { exit(0) }
        return
      }
      let names = typed.resolve().names
      guard names.count == 2, ["train", "pretrain"].contains(names[1]) else {
        throw SFTError(
          .usage, "`\(names.joined(separator: " "))` is for one process, and \(launch.count) were started",
          advice: "Start it by itself; `sft train` and `sft pretrain` are for several")
      }
      guard let library = RankSession.library else {
        throw SFTError(
          .usage,
          "sft was started as \(launch.count) processes, but it was built without MPI: each would train the same",
          advice: "Build it with `make build MPI=1`")
      }
      let group = try RankGroup(library: library, launch) { group, what in
        Terminal.write(
          "error: \(what), so the run ends. "
            + "Go on from its last checkpoint with \(OptionName.resume).\n")
        group.abort(code: SFTError.Kind.inputOutput.rawValue)
        sleep(5)
        _exit(SFTError.Kind.inputOutput.rawValue)
      }
      if group.isLeader { return try lead(group) }
      signal(SIGPIPE, SIG_IGN)
      RankWorker(group, begins: { Interrupt.stopsOrderly() }, isToStop: { Interrupt.requested })()
      exit(0)
    } catch let error as SFTError where launch.rank > 0 {
      exit(error.kind.rawValue)
    }
  }

  private static func lead(_ group: RankGroup) throws {
    Interrupt.notesContinuing()
    let session = try RankSession(
      group, isEnding: { Interrupt.requested || Interrupt.wasContinued },
      tell: { Terminal.write(Terminal.fitted($0) + "\n") })
    joined.withLock { $0 = session }
  }

  /// Ends the others, as this process ends with `code`.
  static func end(code: Int32) {
    let session = joined.withLock { session in
      defer { session = nil }
      return session
    }
    session?.end(code: code)
  }
}
