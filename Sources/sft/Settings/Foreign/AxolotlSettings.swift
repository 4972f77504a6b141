import Core

extension ForeignMapping {
  private static let axolotlLearning = [
    ForeignRow("micro_batch_size", .train, "batch-size", .whole(1...65_536), missing: "1"),
    ForeignRow("weight_decay", .train, "weight-decay", .number(0...1e9), missing: "0"),
    ForeignRow("max_grad_norm", .train, "max-grad-norm", .number(0...1e9)),
    ForeignRow("sequence_len", .prepare, "max-length", .whole(2...100_000_000), missing: "512"),
    ForeignRow("dataset_exact_deduplication", .prepare, "dedupe", .flag),
  ]

  private static let axolotlAdapter = [
    ForeignRow("lora_r", .train, "lora-r", .whole(1...65_536)),
    ForeignRow("lora_alpha", .train, "lora-alpha", .positive),
    ForeignRow("lora_dropout", .train, "lora-dropout", .number(0...1)),
    ForeignRow("peft_use_rslora", .train, "rslora", .flag),
  ]

  /// The settings of `axolotl train`.
  mutating func readAxolotl() throws {
    if let method = find("rl") {
      guard ["false", "none", "off", "no"].contains(try method.text().lowercased()) else {
        throw method.failure("is not supported: sft trains on answers, not on preferences or rewards")
      }
      leave(method, Self.usual)
    }
    if let model = find("base_model") { take(model, .prepare, "model", try model.text()) }
    let validates = try takeAxolotlData()
    try takeAxolotlMethod()
    try takeRate(missing: nil)
    try takeDuration(epochs: "num_epochs", missing: "1")
    try takeAxolotlSchedule()
    try apply(Self.axolotlLearning)
    try takeAxolotlBatch()
    try takeOverlong()
    try takeOptimizer("optimizer")
    try takeRecomputing()
    try takeSeed()
    try takeAxolotlCheckpoints(validates: validates)
    let output = find("output_dir")
    if let given = find("use_tensorboard") {
      if try given.flag() { try takeTensorBoard(given, nil, output) } else { leave(given, Self.usual) }
    }
    if let output { leave(output, "a run is a folder of the workspace: \(OptionName.run) NAME") }
    try takePacking("sample_packing")
    try leaveSpecialTokens()
    noteDecay()
    leaveRest(LeftOutRow.axolotl)
  }

  private mutating func takeAxolotlMethod() throws {
    let (adapter, four) = (find("adapter"), find("load_in_4bit"))
    let targets = [find("lora_target_linear"), find("lora_target_modules")]
    let name = try adapter?.text().lowercased()
    guard let given = adapter, name == "lora" || name == "qlora" else {
      if let adapter {
        leave(adapter, "sft has LoRA, which stands", .differs)
      } else {
        state("adapter", .train, "full", nil)
      }
      for other in targets.compactMap({ $0 }) { leave(other, "there is no adapter of LoRA") }
      leaveAll(Self.axolotlAdapter.map(\.key) + ["lora_modules_to_save"], "there is no adapter of LoRA")
      if let four { leave(four, try four.flag() ? "only the base of an adapter is quantised" : Self.usual) }
      return
    }
    if name == "qlora" {
      var named = try find("bnb_config_kwargs")?.members()
      let (code, nested) = (named?.find("bnb_4bit_quant_type"), named?.find("bnb_4bit_use_double_quant"))
      try takeFourBits(given, code: code, nested: nested)
      for other in named?.rest ?? [] { leave(other, "sft quantises to 4 bits as \(OptionName.qlora) says", .differs) }
      if let four { leave(four, "what adapter says") }
    } else {
      leave(given, "sft trains an adapter unless it is told \(OptionName.full)")
      if let four { leave(four, try four.flag() ? "axolotl does so for adapter: qlora alone" : Self.usual) }
    }
    if let folder = find("lora_model_dir") {
      for other in targets.compactMap({ $0 }) { leave(other, "the adapter that training starts from brings its own") }
      try takeInitialAdapter(folder, instead: Self.axolotlAdapter.map(\.key))
    } else {
      try apply(Self.axolotlAdapter)
      try takeAxolotlTargets(linear: targets[0], modules: targets[1])
      try takeLayers("peft_layers_to_transform")
    }
    try takeSavedModules("lora_modules_to_save")
  }

  private mutating func takeAxolotlTargets(linear: ForeignSetting?, modules: ForeignSetting?) throws {
    if let linear, try linear.flag() {
      take(linear, .train, "lora-targets", "all-linear")
      if let modules { leave(modules, "lora_target_linear has them all") }
      return
    }
    if let linear { leave(linear, Self.usual) }
    if let modules {
      try takeTargets(modules)
    } else {
      miss("lora_target_modules", "axolotl has no default; sft's all-linear stands")
    }
  }

  private mutating func takeAxolotlSchedule() throws {
    let (lowest, constant) = (find("cosine_min_lr_ratio"), find("cosine_constant_lr_ratio"))
    let name = try find("lr_scheduler")?.text().lowercased() ?? "cosine"
    let hasWarmup = try takeSchedule("lr_scheduler", missing: "cosine")
    try takeWarmup(.axolotl, hasWarmup: hasWarmup)
    if let constant { leave(constant, "sft's cosine ends with the run", .differs) }
    if let lowest {
      if name == "cosine", constant == nil, let rate {
        take(lowest, .train, "min-lr", plainNumber(try lowest.number(in: 0...1) * rate))
      } else {
        leave(lowest, "only a cosine that ends with the run has a lowest rate", .differs)
      }
    }
  }

  /// Micro-batches of an update; all of a batch may be given in their place.
  private mutating func takeAxolotlBatch() throws {
    let whole = find("batch_size")
    if let given = find("gradient_accumulation_steps") {
      take(given, .train, "grad-accum", String(try given.whole(1...65_536)))
      if let whole { leave(whole, "gradient_accumulation_steps takes its place") }
    } else if let whole {
      let micro = try find("micro_batch_size")?.whole(1...65_536) ?? 1
      let all = try whole.whole(1...1_000_000_000)
      guard (1...65_536).contains(all / micro) else {
        throw whole.failure("must be 1 to 65,536 times micro_batch_size")
      }
      take(whole, .train, "grad-accum", String(all / micro))
    }
  }

  private mutating func takeOverlong() throws {
    guard let given = find("excess_length_strategy") else {
      state("excess_length_strategy", .prepare, "overlong", "drop")
      return
    }
    switch try given.text().lowercased() {
    case "drop": take(given, .prepare, "overlong", "drop")
    case "raise": take(given, .prepare, "overlong", "error")
    default:
      leave(given, "axolotl cuts a record's end, sft a prompt's start: \(OptionName.overlong) truncate", .differs)
    }
  }

  private mutating func takeRecomputing() throws {
    guard let given = find("gradient_checkpointing") else { return }
    if try ["false", "no", "off"].contains(given.text().lowercased()) {
      leave(given, Self.usual)
    } else {
      take(given, .train, "gradient-checkpointing", nil)
    }
  }

  private mutating func takeAxolotlCheckpoints(validates: Bool) throws {
    for (steps, perEpoch, option) in [
      ("eval_steps", "evals_per_epoch", "eval-every"), ("save_steps", "saves_per_epoch", "save-every"),
    ] {
      let (interval, times) = (find(steps), find(perEpoch))
      for given in [interval, times].compactMap({ $0 }) {
        if option == "eval-every", !validates {
          leave(given, "nothing validates there")
        } else if given.key == steps {
          try takeInterval(given, option)
        } else {
          leave(given, "times an epoch; sft counts updates: --\(option)")
        }
      }
    }
    if let given = find("save_strategy") {
      if ["no", "false", "off"].contains(try given.text().lowercased()), !has("save-every") {
        take(given, .train, "save-every", "0")
      } else {
        leave(given, "sft counts updates: \(OptionName.saveEvery)")
      }
    }
    leaveAll(["eval_strategy", "evaluation_strategy"], "sft counts updates: \(OptionName.evalEvery)")
    try takeKept()
    if let given = find("early_stopping_patience") {
      if validates {
        take(given, .train, "early-stopping", String(try given.whole(1...1_000_000)))
      } else {
        leave(given, "nothing validates there")
      }
    }
  }

  /// Padding is not trained; every other token of its own changes what is.
  private mutating func leaveSpecialTokens() throws {
    guard let given = find("special_tokens") else { return }
    let names = try given.members().settings.map(\.key)
    if names.allSatisfy({ $0.hasSuffix(".pad_token") }) {
      leave(given, "sft pads nothing")
    } else {
      leave(given, "sft takes the tokenizer's", .differs)
    }
  }
}
