import Core

extension ForeignMapping {
  private static let factoryLearning = [
    ForeignRow("per_device_train_batch_size", .train, "batch-size", .whole(1...65_536)),
    ForeignRow("gradient_accumulation_steps", .train, "grad-accum", .whole(1...65_536)),
    ForeignRow("weight_decay", .train, "weight-decay", .number(0...1e9), missing: "0"),
    ForeignRow("max_grad_norm", .train, "max-grad-norm", .number(0...1e9)),
    ForeignRow("disable_shuffling", .train, "no-shuffle", .flag),
    ForeignRow("cutoff_len", .prepare, "max-length", .whole(2...100_000_000), missing: "2048"),
  ]

  private static let factoryAdapter = [
    ForeignRow("lora_rank", .train, "lora-r", .whole(1...65_536), missing: "8"),
    ForeignRow("lora_dropout", .train, "lora-dropout", .number(0...1)),
    ForeignRow("use_rslora", .train, "rslora", .flag),
  ]

  private static let factoryAdapterKeys = ["lora_rank", "lora_alpha", "lora_dropout", "use_rslora", "lora_target"]

  /// The settings of `llamafactory-cli train`.
  mutating func readLlamaFactory() throws {
    if let stage = find("stage") {
      guard try stage.text() == "sft" else {
        throw stage.failure("is not supported: sft trains on answers, so for the stage sft")
      }
      leave(stage, Self.usual)
    }
    if let model = find("model_name_or_path") { take(model, .prepare, "model", try model.text()) }
    let validates = try takeFactoryData()
    try takeFactoryMethod()
    try takeRate(missing: 5e-5)
    try takeDuration(epochs: "num_train_epochs")
    let hasWarmup = try takeSchedule("lr_scheduler_type")
    try takeWarmup(.transformers, hasWarmup: hasWarmup)
    try apply(Self.factoryLearning)
    note("LLaMA-Factory cuts longer records; sft stops at them unless \(OptionName.overlong) says drop or truncate.")
    try takeOptimizer("optim")
    try takeFactoryRecomputing()
    try takeSeed()
    try takeEvaluation(validates: validates, logging: 500)
    try takeSaving(missing: "500")
    if let given = find("early_stopping_steps") {
      if validates {
        take(given, .train, "early-stopping", String(try given.whole(1...1_000_000)))
      } else {
        leave(given, "nothing validates there")
      }
    }
    try takeReporting()
    try takePacking("packing")
    try takePacking("neat_packing")
    noteDecay()
    leaveRest(LeftOutRow.llamaFactory)
  }

  private mutating func takeFactoryMethod() throws {
    let (method, bits) = (find("finetuning_type"), find("quantization_bit"))
    switch try method?.text().lowercased() ?? "lora" {
    case "lora":
      if let method { leave(method, "sft trains an adapter unless it is told \(OptionName.full)") }
      try takeFactoryAdapter()
      try takeFactoryBits(bits)
    case "full":
      if let method { take(method, .train, "full", nil) }
      leaveAll(Self.factoryAdapterKeys + ["additional_target", "adapter_name_or_path"], "there is no adapter")
      if let bits { leave(bits, "only the base of an adapter is quantised", .differs) }
    default:
      if let method { leave(method, "sft has LoRA and full training; LoRA stands", .differs) }
      leaveAll(Self.factoryAdapterKeys + ["additional_target", "adapter_name_or_path"], "for another method")
      if let bits { leave(bits, "for another method", .differs) }
    }
  }

  private mutating func takeFactoryAdapter() throws {
    let create = find("create_new_adapter")
    let merges = try create?.flag() ?? false
    if let create { leave(create, "for adapters that are there already") }
    if let given = find("adapter_name_or_path") {
      if try !merges && given.texts().count == 1 {
        try takeInitialAdapter(given, instead: Self.factoryAdapterKeys)
        try takeSavedModules("additional_target")
        return
      }
      leave(given, "adapters are merged first there; sft export \(OptionName.format) merged does so", .differs)
    }
    let alpha = find("lora_alpha")
    try apply(Self.factoryAdapter)
    let rank = try find("lora_rank")?.whole(1...65_536) ?? 8
    if let alpha, try alpha.number() != 0 {
      take(alpha, .train, "lora-alpha", plainNumber(try alpha.positive()))
    } else {
      state("lora_alpha", .train, "lora-alpha", String(2 * rank))
    }
    if let targets = find("lora_target") { try takeTargets(targets) }
    try takeSavedModules("additional_target")
  }

  private mutating func takeFactoryBits(_ bits: ForeignSetting?) throws {
    guard let bits else { return }
    let method = find("quantization_method")
    let name = try method?.text().lowercased() ?? "bnb"
    guard try bits.whole(1...64) == 4, ["bnb", "bitsandbytes"].contains(name) else {
      leave(bits, "sft quantises to bitsandbytes' 4 bits; the base stays as it is", .differs)
      if let method { leave(method, "the base stays as it is") }
      return
    }
    let (code, nested) = (find("quantization_type"), find("double_quantization"))
    try takeFourBits(bits, code: code, nested: nested)
    if let method { leave(method, Self.usual) }
  }

  private mutating func takeFactoryRecomputing() throws {
    if let given = find("disable_gradient_checkpointing") {
      if try given.flag() {
        leave(given, Self.usual)
      } else {
        take(given, .train, "gradient-checkpointing", nil)
      }
    } else {
      state("disable_gradient_checkpointing", .train, "gradient-checkpointing", nil)
    }
  }
}
