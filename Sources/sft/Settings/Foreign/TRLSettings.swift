import Core

extension ForeignMapping {
  private static let trlLearning = [
    ForeignRow("per_device_train_batch_size", .train, "batch-size", .whole(1...65_536)),
    ForeignRow("gradient_accumulation_steps", .train, "grad-accum", .whole(1...65_536)),
    ForeignRow("weight_decay", .train, "weight-decay", .number(0...1e9), missing: "0"),
    ForeignRow("max_grad_norm", .train, "max-grad-norm", .number(0...1e9)),
    ForeignRow("gradient_checkpointing", .train, "gradient-checkpointing", .flag),
  ]

  private static let trlAdapter = [
    ForeignRow("lora_r", .train, "lora-r", .whole(1...65_536)),
    ForeignRow("lora_alpha", .train, "lora-alpha", .positive, missing: "32"),
    ForeignRow("lora_dropout", .train, "lora-dropout", .number(0...1), missing: "0.05"),
    ForeignRow("use_rslora", .train, "rslora", .flag),
  ]

  private static let trlLeftOut = [
    LeftOutRow("env", "sft sets no variables of the environment"),
    LeftOutRow("lora_task_type", "not supported", .differs, neutral: "CAUSAL_LM"),
    LeftOutRow("loss_type", "sft's loss is the mean over the trained tokens", .differs, neutral: "nll chunked_nll"),
    LeftOutRow("dataset_config", "give the files of that configuration", .differs),
    LeftOutRow("truncation_mode", "sft cuts a prompt from its left: \(OptionName.overlong) truncate", .differs),
    LeftOutRow("eos_token pad_token", "sft takes the tokenizer's", .differs),
    LeftOutRow("shuffle_dataset", "sft shuffles anyhow"),
    LeftOutRow("ignore_bias_buffers", "for several devices or machines"),
    LeftOutRow("dataset_train_split dataset_test_split", "no data of that name are taken"),
  ]

  /// The settings of `trl sft`.
  mutating func readTRL() throws {
    if let model = find("model_name_or_path") { take(model, .prepare, "model", try model.text()) }
    let validates = try takeTRLData()
    try takeTRLLayout()
    try takeTRLMethod()
    try takeRate(missing: 2e-5)
    try takeDuration(epochs: "num_train_epochs")
    let hasWarmup = try takeSchedule("lr_scheduler_type")
    try takeWarmup(.transformers, hasWarmup: hasWarmup)
    try apply(Self.trlLearning)
    try takeOptimizer("optim")
    if !members.has("gradient_checkpointing") {
      state("gradient_checkpointing", .train, "gradient-checkpointing", nil)
    }
    try takeSeed()
    try takeEvaluation(validates: validates, logging: 10)
    try takeSaving(missing: "500")
    try takeReporting()
    try takePacking("packing")
    noteDecay()
    leaveRest(Self.trlLeftOut)
  }

  private mutating func takeTRLLayout() throws {
    let longest = [find("max_length"), find("max_seq_length")].compactMap { $0 }
    for given in longest { take(given, .prepare, "max-length", String(try given.whole(2...100_000_000))) }
    if longest.isEmpty, !members.unset.contains("max_length") { state("max_length", .prepare, "max-length", "1024") }
    if has("max-length") {
      note(
        "TRL cuts longer records at their end; sft stops at them unless \(OptionName.overlong) says drop or truncate.")
    }
    if let field = find("dataset_text_field") {
      let name = try field.text()
      if name == "text" { leave(field, Self.usual) } else { take(field, .prepare, "columns", "text=\(name)") }
    }
    if let given = find("chat_template_path") {
      let path = try given.text()
      if path.hasSuffix(".jinja") {
        take(given, .prepare, "template", path)
      } else {
        leave(given, "\(OptionName.template) takes a file whose name ends in .jinja", .differs)
      }
    }
    try takeTRLLoss()
  }

  private mutating func takeTRLLoss() throws {
    let (answers, completion) = (find("assistant_only_loss"), find("completion_only_loss"))
    let (onAnswers, onCompletion) = (try answers?.flag() ?? false, try completion?.flag())
    if let answers, onAnswers { take(answers, .prepare, "train-on", "assistant") }
    if let completion, onCompletion == true { take(completion, .prepare, "train-on", "assistant") }
    if onAnswers || onCompletion == true {
      if let answers, !onAnswers { leave(answers, "completion_only_loss says more") }
      if let completion, onCompletion == false { leave(completion, "assistant_only_loss says more") }
      return
    }
    let keys = [answers?.key, completion?.key].compactMap { $0 }
    if keys.isEmpty {
      state("assistant_only_loss", .prepare, "train-on", "all")
    } else {
      add(keys.joined(separator: ", "), .prepare, "train-on", "all")
    }
    if completion == nil {
      note("On records with prompt and completion TRL trains the completion only: for those say train-on: assistant.")
    }
  }

  private mutating func takeTRLMethod() throws {
    let choice = find("use_peft")
    let isOn = try choice?.flag() ?? false
    let (four, targets) = (find("load_in_4bit"), find("lora_target_modules"))
    guard isOn, let given = choice else {
      if let choice { take(choice, .train, "full", nil) } else { state("use_peft", .train, "full", nil) }
      let lora = ["lora_r", "lora_alpha", "lora_dropout", "use_rslora", "lora_modules_to_save"]
      leaveAll(lora, "without use_peft there is no adapter")
      if let targets { leave(targets, "without use_peft there is no adapter") }
      if let four { leave(four, try four.flag() ? "only the base of an adapter is quantised" : Self.usual) }
      return
    }
    leave(given, "sft trains an adapter unless it is told \(OptionName.full)")
    try apply(Self.trlAdapter)
    try takeSavedModules("lora_modules_to_save")
    if let targets {
      try takeTargets(targets)
    } else {
      miss("lora_target_modules", "PEFT's own choice for the model, often q_proj,v_proj; sft's all-linear stands")
    }
    if let four {
      if try four.flag() {
        let (code, nested) = (find("bnb_4bit_quant_type"), find("use_bnb_nested_quant"))
        try takeFourBits(four, code: code, nested: nested)
        if nested == nil { state("use_bnb_nested_quant", .train, "no-double-quant", nil) }
      } else {
        leave(four, Self.usual)
      }
    }
  }
}
