import Core

/// How the updates of a warm-up are counted.
enum WarmupRule {
  case transformers
  case axolotl

  /// Of a share of all updates.
  func updates(_ share: Double, of total: Int) -> Int {
    let exact = Double(total) * share
    return self == .transformers ? Int(exact.rounded(.up)) : counted(Int(exact))
  }

  /// axolotl makes two updates of one.
  func counted(_ updates: Int) -> Int { self == .axolotl && updates == 1 ? 2 : updates }
}

extension ForeignMapping {
  /// The learning rate; `missing` is the tool's own.
  mutating func takeRate(missing: Double?) throws {
    if let given = find("learning_rate") {
      let number = try given.positive()
      rate = number
      take(given, .train, "lr", plainNumber(number))
    } else if let missing {
      rate = missing
      state("learning_rate", .train, "lr", plainNumber(missing))
    } else {
      miss("learning_rate", "\(tool.title) has no default; sft's 2e-4 stands")
    }
  }

  /// Epochs, or updates in their place.
  mutating func takeDuration(epochs key: String, missing: String? = nil) throws {
    let epochs = find(key)
    if let steps = find("max_steps") {
      let count = try steps.whole(-1...1_000_000_000)
      if count > 0 {
        updates = count
        take(steps, .train, "max-steps", String(count))
        if let epochs { leave(epochs, "max_steps takes its place") }
        return
      }
      leave(steps, Self.usual)
    }
    if let epochs {
      take(epochs, .train, "epochs", plainNumber(try epochs.positive()))
    } else if let missing {
      state(key, .train, "epochs", missing)
    }
  }

  /// The way of the rate. Returns whether it has a warm-up.
  mutating func takeSchedule(_ key: String, missing: String? = nil) throws -> Bool {
    let arguments = find("lr_scheduler_kwargs")
    guard let given = find(key) else {
      if let missing { state(key, .train, "scheduler", missing) }
      try leaveArguments(arguments)
      return true
    }
    let name = try given.text().lowercased()
    switch name {
    case "linear", "cosine", "constant": take(given, .train, "scheduler", name)
    case "constant_with_warmup": take(given, .train, "scheduler", "constant")
    case "cosine_with_min_lr":
      if let arguments, try takeMinimum(arguments) {
        take(given, .train, "scheduler", "cosine")
        return true
      }
      leave(given, "its lr_scheduler_kwargs say no lowest rate that sft knows; linear stands", .differs)
    default: leave(given, "sft has linear, cosine and constant; linear stands", .differs)
    }
    try leaveArguments(arguments)
    return name != "constant"
  }

  private mutating func leaveArguments(_ given: ForeignSetting?) throws {
    guard let given else { return }
    if given.isObject, try given.members().settings.isEmpty {
      leave(given, Self.usual)
    } else {
      leave(given, "sft's schedules take no such arguments", .differs)
    }
  }

  /// Where a cosine ends: a rate, or a share of the highest. False where there is more to it.
  private mutating func takeMinimum(_ arguments: ForeignSetting) throws -> Bool {
    guard arguments.isObject else { return false }
    var named = try arguments.members()
    let (lowest, share) = (named.find("min_lr"), named.find("min_lr_rate"))
    guard named.rest.isEmpty else { return false }
    if let lowest {
      take(arguments, .train, "min-lr", plainNumber(try lowest.number(in: 0...1e9)))
    } else if let share, let rate {
      take(arguments, .train, "min-lr", plainNumber(try share.number(in: 0...1) * rate))
    } else {
      return false
    }
    return true
  }

  /// Updates of warm-up, or a share of all updates.
  mutating func takeWarmup(_ rule: WarmupRule, hasWarmup: Bool) throws {
    guard hasWarmup else {
      leaveAll(["warmup_steps", "warmup_ratio"], "their constant schedule has no warm-up")
      return
    }
    var share = find("warmup_ratio")
    if let steps = find("warmup_steps") {
      let number = try steps.number(in: 0...1e9)
      if number > 0, number < 1 {
        if let other = share { leave(other, "warmup_steps takes its place") }
        share = steps
      } else if number == 0, share != nil, rule == .transformers {
        leave(steps, "warmup_ratio takes its place")
      } else {
        take(steps, .train, "warmup-steps", String(rule.counted(Int(number))))
        if let share { leave(share, "warmup_steps takes its place") }
        return
      }
    }
    if let share {
      let part = try share.number(in: 0...1)
      if let updates {
        take(share, .train, "warmup-steps", String(rule.updates(part, of: updates)))
      } else if part == 0 {
        leave(share, Self.usual)
      } else {
        leave(share, "sft counts updates: --warmup-steps, this share of those that `sft plan` shows", .differs)
      }
    } else if rule == .axolotl {
      if let updates {
        state("warmup_steps", .train, "warmup-steps", String(rule.counted(min(Int(0.03 * Double(updates)), 100))))
      } else {
        miss("warmup_steps", "axolotl warms up over 3 % of the updates, 100 at most: give \(OptionName.warmupSteps)")
      }
    }
  }

  /// AdamW, whichever program computes it.
  mutating func takeOptimizer(_ key: String) throws {
    if let given = find(key) {
      switch try given.text().lowercased() {
      case "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adamw_hf", "adamw",
        "paged_adamw_32bit", "paged_adamw":
        take(given, .train, "optimizer", "adamw")
      case "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit": take(given, .train, "optimizer", "adamw8bit")
      default: leave(given, "sft has adamw and adamw8bit; adamw stands", .differs)
      }
    }
    if let given = find("adam_epsilon") {
      if try given.number() == 1e-8 {
        leave(given, Self.usual)
      } else {
        leave(given, "sft's epsilon is 1e-8", .differs)
      }
    }
    try takeBetas()
  }

  private mutating func takeBetas() throws {
    let given = [find("adam_beta1"), find("adam_beta2")]
    var betas = [0.9, 0.999]
    for (index, setting) in given.enumerated() {
      guard let setting else { continue }
      betas[index] = try setting.number(in: 0...1)
      if betas[index] == 1 { throw setting.failure("must be below 1") }
    }
    let keys = given.compactMap { $0?.key }
    if !keys.isEmpty {
      add(keys.joined(separator: ", "), .train, "betas", betas.map { plainNumber($0) }.joined(separator: ","))
    }
  }

  /// Rows that hold several records each, of which theirs then counts a batch.
  mutating func takePacking(_ key: String) throws {
    guard let given = find(key) else { return }
    guard try given.flag() else {
      leave(given, Self.usual)
      return
    }
    let batch = number(of: "batch-size") ?? 8
    let tokens = number(of: "max-length").map { " \(min(batch * $0, 1 << 24))" } ?? ""
    leave(
      given,
      "sft packs by itself, without changing the loss; their batch then counts full rows instead of records: "
        + "\(OptionName.batchTokens)\(tokens) comes near", .differs)
  }

  private func number(of option: String) -> Int? {
    taken.last { $0.setting.name == option }?.setting.value.flatMap { Int($0) }
  }
}
