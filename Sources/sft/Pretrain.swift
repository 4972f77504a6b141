import ArgumentParser
import Pipeline

struct Pretrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model from random weights on plain text.",
    discussion: """
      The text is one stream of tokens, with <|endoftext|> after each file and wherever it is written out. The run's best/
      and model/ are model folders that transformers loads. Weight decay spares biases and norms.
      """)

  @Argument(help: "Files of UTF-8 text.")
  var files: [String] = []

  @Option(name: .long, help: "The new model's config.json, of a GPT-2 of any size.")
  var config: String?

  @Option(name: .long, help: "A folder with the tokenizer to use.")
  var tokenizer: String?

  @Option(name: .long, help: "Train a tokenizer of so many tokens on the text; it decides the model's vocab_size.")
  var vocabSize: Int?

  @Option(name: .long, help: "Tokens from one window to the next (default: the model's context, so no overlap).")
  var stride: Int?

  @Option(name: .customLong("val"), help: "Share of the tokens, the last ones, that is kept for validation.")
  var validationShare = 0.05

  @Option(name: .customLong("run"), help: "The run's name (default: run-1, run-2, …).")
  var runName: String?

  @Flag(name: .long, help: "Go on from the newest sound checkpoint of --run, or of the newest run.")
  var resume = false

  @OptionGroup var training: TrainingFlags
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if tokenizer != nil, vocabSize != nil { throw ValidationError("Give --tokenizer or --vocab-size, not both.") }
    guard (0..<1).contains(validationShare) else { throw ValidationError("--val must be from 0 to below 1.") }
    if resume, files.isEmpty {
      guard config == nil, tokenizer == nil, vocabSize == nil, stride == nil else {
        throw ValidationError("--config, --tokenizer, --vocab-size and --stride go with files of text.")
      }
      return
    }
    if files.isEmpty { throw ValidationError("Give files of text.") }
    if config == nil { throw ValidationError("Give the new model's configuration with --config FILE.") }
    if tokenizer == nil, vocabSize == nil {
      throw ValidationError("Give --tokenizer DIR, or --vocab-size N to train one.")
    }
  }

  private var source: PretrainSource? {
    guard let config, !files.isEmpty else { return nil }
    return PretrainSource(
      files: files, configuration: config, tokenizer: tokenizer, vocabularySize: vocabSize, stride: stride,
      validationShare: validationShare)
  }

  func run() throws {
    var options = TrainOptions()
    options.run = runName
    options.resume = resume
    try training.apply(to: &options)
    let asked = options
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
