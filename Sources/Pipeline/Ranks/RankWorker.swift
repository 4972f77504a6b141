import Core
import Distributing
import Files
import FoundationEssentials
import Glibc
import Kernels
import Training

/// A rank other than 0: trains what that asks for, until it says that all is done. Nothing of it is seen or kept.
public struct RankWorker {
  private let group: RankGroup
  private let begins: () -> Void
  private let isToStop: @Sendable () -> Bool

  /// `begins` is called before a training, from which on `isToStop` is asked.
  public init(_ group: RankGroup, begins: @escaping () -> Void, isToStop: @escaping @Sendable () -> Bool) {
    (self.group, self.begins, self.isToStop) = (group, begins, isToStop)
  }

  /// Returns once rank 0 ends the group.
  public func callAsFunction() { group.working(work) }

  private func work() {
    do {
      _ = try RankPlacing.place(group)
      let inputs = TrainingInputs()
      while true {
        let command = try JSONDecoder().decode(RankCommand.self, from: Data(try group.note().note))
        let job = try job(command, inputs)
        begins()
        try group.send(note: [1], to: 0)
        try job.work(group)
      }
    } catch is RanksEnded {
    } catch {
      group.fail((error as? SFTError) ?? SFTError(.internalError, "\(error)"))
      // Rank 0 ends all.
      while (try? group.note()) != nil {}
    }
    group.end(code: 0)
  }

  private func job(_ command: RankCommand, _ inputs: TrainingInputs) throws -> TrainingJob {
    try RankMachine.current().check(against: command.machine)
    // Hosts may have their own.
    let own = getenv("SFT_WORKSPACE").map { String(cString: $0) } ?? ""
    let workspace = Workspace(own.isEmpty ? command.workspace : own) { _ in }
    var configuration = command.configuration
    configuration.settings.threads = command.threads ?? Compute.availableThreads
    let recorded = RecordedRun(folder: try workspace.run(command.run), configuration: configuration)
    switch RunVerb(configuration) {
    case .train:
      return try TrainRun(
        workspace: workspace, options: TrainOptions(), inputs: inputs, shouldStop: isToStop, event: { _ in }
      ).work(recorded)
    case .pretrain:
      return try PretrainRun(
        workspace: workspace, source: nil, options: TrainOptions(), shouldStop: isToStop, event: { _ in }
      ).work(recorded)
    }
  }
}
