import Core
import Files

/// Where the work in a workspace stands, and the commands that go on with it.
public struct NextStep: Sendable {
  /// A sentence without its full stop.
  public var state: String
  /// With what each does.
  public var commands: [(command: String, what: String)]
}

extension Workspace {
  /// By the newest run, else the newest prepared data. Nothing is made.
  public func nextStep() throws -> NextStep {
    let start = (
      "sft prepare FILE \(OptionName.model) MODEL",
      "records to prepared data; without \(OptionName.model), for the model inside sft"
    )
    guard try directoryExists(path) else {
      let fetch = ("sft fetch OWNER/NAME", "a model of the Hugging Face hub, or a dataset with --dataset")
      return NextStep(state: "There is nothing yet in \(path)", commands: [fetch, start])
    }
    let prepared = try preparedSummary()
    guard let run = try recordedRun(nil, saying: false) else {
      guard let prepared else { return NextStep(state: "There is no prepared data in \(path)", commands: [start]) }
      return NextStep(
        state:
          "There is data prepared for \(prepared.model), \(counted(prepared.training, "record")) to train on, and no run",
        commands: [
          ("sft inspect data", "what is trained of it"),
          ("sft plan \(OptionName.loraR) 16", "what a training would take"),
          ("sft train \(OptionName.loraR) 16", "train an adapter; \(OptionName.qlora) takes less memory"),
        ])
    }
    return NextStep(run, try RunOverview(run, in: self))
  }
}

extension NextStep {
  fileprivate init(_ run: RecordedRun, _ overview: RunOverview) {
    let resume = run.configuration.resumeCommand(run.folder)
    let progress = "after \(overview.step) of \(counted(overview.steps, "update"))"
    switch overview.state {
    case .training:
      state = "Run \(overview.name) is being trained, \(progress)"
      commands = [("sft runs show \(overview.name)", "how it goes")]
    case .stopped:
      state = "Run \(overview.name) was stopped \(progress)"
      commands = [(resume, "go on with it")]
    case .failed, .diverged:
      state = "Run \(overview.name) \(overview.state == .failed ? "failed" : "diverged") \(progress)"
      commands = [("sft runs show \(overview.name)", "why"), ("sft lr-find", "a learning rate")]
    case .finished:
      let loss = overview.bestLoss.map { ", validation loss \(fixed($0, 4))" } ?? ""
      state = "Run \(overview.name) is finished\(loss)"
      commands = [
        ("sft compare --questions FILE", "base and tuned, side by side"), ("sft chat", "talk to it"),
        ("sft export \(OptionName.to) DIR", "for other tools"), ("sft report", "a page on the run"),
      ]
    }
  }
}
