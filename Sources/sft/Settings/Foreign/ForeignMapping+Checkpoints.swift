import Core

extension ForeignMapping {
  /// Updates between two of something, given as such or as a share of all.
  mutating func takeInterval(_ given: ForeignSetting, _ option: String) throws {
    let number = try given.number(in: 0...1e9)
    if number >= 1 {
      take(given, .train, option, String(try given.whole(1...1_000_000_000)))
    } else if number == 0 {
      leave(given, "0 says nothing here; sft's own --\(option) stands")
    } else if let updates {
      take(given, .train, option, String(max(1, Int((Double(updates) * number).rounded(.up)))))
    } else {
      leave(given, "a share of all updates; sft counts them: --\(option)")
    }
  }

  /// Validations as transformers' trainer has them; `logging` is the tool's own logging_steps.
  mutating func takeEvaluation(validates: Bool, logging: Int) throws {
    let (new, old) = (find("eval_strategy"), find("evaluation_strategy"))
    let interval = find("eval_steps")
    guard validates else {
      for given in [new, old, interval].compactMap({ $0 }) { leave(given, "nothing validates there") }
      return
    }
    switch try (new ?? old)?.text().lowercased() {
    case "steps":
      if let given = new ?? old { leave(given, "what eval_steps says") }
      if let interval {
        try takeInterval(interval, "eval-every")
      } else if let given = find("logging_steps") {
        try takeInterval(given, "eval-every")
      } else {
        state("eval_steps", .train, "eval-every", String(logging))
      }
    case "epoch":
      if let given = new ?? old { leave(given, "once an epoch; sft counts updates: \(OptionName.evalEvery)") }
      if let interval { leave(interval, "eval_strategy is epoch") }
    default:
      for given in [new, old, interval].compactMap({ $0 }) {
        leave(given, "sft validates all the same: \(OptionName.evalEvery)")
      }
    }
  }

  /// Checkpoints as transformers' trainer has them.
  mutating func takeSaving(missing: String) throws {
    let (strategy, interval) = (find("save_strategy"), find("save_steps"))
    switch try strategy?.text().lowercased() ?? "steps" {
    case "no", "false", "off":
      if let strategy { take(strategy, .train, "save-every", "0") }
      if let interval { leave(interval, "save_strategy is no") }
    case "steps":
      if let strategy { leave(strategy, "what save_steps says") }
      if let interval {
        try takeInterval(interval, "save-every")
      } else {
        state("save_steps", .train, "save-every", missing)
      }
    default:
      if let strategy { leave(strategy, "sft counts updates: \(OptionName.saveEvery)") }
      if let interval { leave(interval, "save_strategy has the word") }
    }
    try takeKept()
  }

  /// How many checkpoints are kept.
  mutating func takeKept() throws {
    guard let given = find("save_total_limit") else { return }
    let count = try given.whole(-1_000_000...1_000_000)
    if count > 0 {
      take(given, .train, "keep-checkpoints", String(count))
    } else {
      leave(given, "they keep all; sft the newest 2: \(OptionName.keepCheckpoints)")
    }
  }

  /// The folder of TensorBoard's files, where they are asked for.
  mutating func takeReporting() throws {
    let (folder, output) = (find("logging_dir"), find("output_dir"))
    var isTaken = false
    if let given = find("report_to") {
      let names = try given.texts()
      if names.contains("tensorboard") || names.contains("all") {
        try takeTensorBoard(given, folder, output)
        isTaken = true
        if names.count > 1 || names.contains("all") { note("Of report_to only TensorBoard is there.") }
      } else {
        leave(
          given,
          ["none"] == names ? Self.usual : "sft writes metrics.jsonl, and for \(OptionName.tensorboard) event files")
      }
    }
    if let folder, !isTaken { leave(folder, "for \(OptionName.tensorboard) DIR, which is not asked for") }
    if let output { leave(output, "a run is a folder of the workspace: \(OptionName.run) NAME") }
  }

  /// The folder is that of the logs, else `runs` in that of the output.
  mutating func takeTensorBoard(
    _ given: ForeignSetting, _ folder: ForeignSetting?, _ output: ForeignSetting?
  ) throws {
    var path = "runs"
    if let folder { path = try folder.text() } else if let output { path = try output.text() + "/runs" }
    add([given.key, folder?.key].compactMap { $0 }.joined(separator: ", "), .train, "tensorboard", path)
  }
}
