import ArgumentParser
import Core
import Pipeline

struct Pretrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "pretrain", abstract: "Train a model from random weights on plain text.",
    usage: "<FILE> ... \(OptionName.config) <FILE> [options]",
    discussion: """
      The text is one stream of tokens, with <|endoftext|> after each file and wherever it is written out. The run's \
      best/ and model/ are model folders that transformers loads. Weight decay spares biases and norms.
      """,
    examples: [
      "sft pretrain book.txt --config config.json --vocab-size 8000",
      "sft pretrain a.txt b.txt --config config.json --tokenizer gpt2 --lr 6e-4", "sft pretrain --resume",
    ])

  struct NewModel: ParsableArguments {
    @Option(name: .long, help: .takes("FILE", "The new model's config.json, of any family and size."))
    var config: String?

    @Option(name: .long, help: .takes("DIR", "A folder with the tokenizer to use."))
    var tokenizer: String?

    @Option(
      name: .long,
      help: .takes("N", "Train a tokenizer of so many tokens on the text; it decides the model's vocab_size."))
    var vocabSize: Int?

    @Option(
      name: .long,
      help: .takes("N", "Tokens from one window to the next (default: the model's context, so no overlap)."))
    var stride: Int?

    @Option(
      name: .customLong("val"),
      help: .takes("SHARE", "Share of the tokens, the last ones, that is kept for validation."))
    var validationShare = 0.05

    func validate() throws {
      if tokenizer != nil, vocabSize != nil {
        throw ValidationError("Give \(OptionName.tokenizer) or \(OptionName.vocabSize), not both.")
      }
      guard (0..<1).contains(validationShare) else {
        throw ValidationError("\(OptionName.val) must be from 0 to below 1.")
      }
    }
  }

  @Argument(help: .takes("FILE", "Files of UTF-8 text."))
  var files: [String] = []

  @OptionGroup(title: "Run") var which: RunFlags
  @OptionGroup(title: "New model") var new: NewModel
  @OptionGroup var training: TrainingFlags
  @OptionGroup(title: "Computing") var memory: MemoryFlags
  @OptionGroup(title: "Settings file") var settings: NamedSettingsFlags
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    _ = try options()
    if training.findsRate { throw ValidationError("\(OptionName.lr) auto goes with `sft train`.") }
    if which.resume, files.isEmpty {
      guard new.config == nil, new.tokenizer == nil, new.vocabSize == nil, new.stride == nil else {
        throw ValidationError(
          "\(OptionName.config), \(OptionName.tokenizer), \(OptionName.vocabSize) and \(OptionName.stride) go with files of text."
        )
      }
      return
    }
    if files.isEmpty { throw ValidationError("Give files of text.") }
    if new.config == nil { throw ValidationError("Give the new model's configuration with \(OptionName.config) FILE.") }
    if new.tokenizer == nil, new.vocabSize == nil {
      throw ValidationError("Give \(OptionName.tokenizer) DIR, or \(OptionName.vocabSize) N to train one.")
    }
  }

  private var source: PretrainSource? {
    guard let config = new.config, !files.isEmpty else { return nil }
    return PretrainSource(
      files: files, configuration: config, tokenizer: new.tokenizer, vocabularySize: new.vocabSize,
      stride: new.stride, validationShare: new.validationShare)
  }

  private func options() throws -> TrainOptions {
    var options = TrainOptions()
    which.apply(to: &options)
    try training.apply(to: &options)
    options.ignoresMemory = memory.noMemoryCheck
    options.typedSettings = GivenSettings.current
    options.ranks = Ranks.session
    return try options.checked()
  }

  func run() throws {
    let asked = try options()
    let train: TrainingCommand = { workspace, options, sibling, event in
      try PretrainRun(
        workspace: workspace, source: source, options: options ?? asked, sibling: sibling,
        shouldStop: { Interrupt.requested }, event: event)()
    }
    if let rates = training.sweep {
      try runSweep(rates, asked, verb: "pretrain", common, train)
    } else {
      try runTraining(common, train)
    }
  }
}
