import Core
import Evaluating
import Files
import Generating
import Kernels
import Models
import SampleEncoding

/// What `sft compare` is asked for.
public struct CompareOptions: Sendable {
  /// The model, and the first adapter.
  public var inference: InferenceOptions
  /// Adapters after the first.
  public var adapters: [String]
  /// A second model to compare with instead, and its template where it is not the first's.
  public var otherModel: String?
  public var otherTemplate: String?
  public var generation: GenerationSettings
  /// Answers that are made at once.
  public var width: Int
  /// nil for what fits the references.
  public var rougeWords: WordSplitting?

  public init(_ inference: InferenceOptions, generation: GenerationSettings) {
    self.inference = inference
    self.generation = generation
    adapters = []
    width = 8
  }
}

/// The models of a comparison, open for use. Base and adapters share one set of weights; a run that trained all weights has
/// its own.
public final class ModelComparison {
  private struct Contestant {
    var session: InferenceSession
    var adapter: Adapter?
    var layout: RecordLayout

    /// The layout of questions that are conversations.
    func layoutOfConversations() throws -> RecordLayout {
      layout.name == session.layout.name ? try session.layoutOfConversations() : layout
    }

    /// What ends answers beside the tokens that end the model's texts.
    func ends(_ questions: [Question]) throws -> [Int32] {
      session.endTokens(layout)
        + (questions.contains(where: \.isConversation) ? session.endTokens(try layoutOfConversations()) : [])
    }
  }

  private let options: CompareOptions
  private let contestants: [Contestant]
  private let session: InferenceSession
  private let other: InferenceSession?
  /// What is compared, in words.
  public let description: String

  public init(_ options: CompareOptions, workspace: Workspace) throws {
    try options.generation.validate()
    self.options = options
    var inference = options.inference
    inference.usesPanels = true
    inference.baseOnly = options.otherModel != nil && inference.adapter == nil
    if options.otherModel == nil, inference.adapter == nil,
      try workspace.recordedRun(inference.run, saying: false) == nil
    {
      throw Self.nothingToCompare
    }
    let session = try InferenceSession(inference, workspace: workspace)
    self.session = session
    let first = Contestant(session: session, adapter: nil, layout: session.layout)
    if let name = options.otherModel {
      var second = InferenceOptions()
      second.model = name
      second.baseOnly = true
      (second.threads, second.usesPanels) = (inference.threads, inference.usesPanels)
      second.rowPrecision = inference.rowPrecision
      (second.quantized, second.quantization) = (inference.quantized, inference.quantization)
      let other = try InferenceSession(second, workspace: workspace)
      let layout = try options.otherTemplate.map {
        try RecordLayout(named: $0, folder: other.base.folder, date: .today)
      }
      self.other = other
      contestants = [
        Contestant(session: session, adapter: session.adapter, layout: session.layout),
        Contestant(session: other, adapter: nil, layout: layout ?? session.layout),
      ]
      description = "comparing \(session.base.name) (\(session.description)) with \(name), each with its own tokenizer"
      return
    }
    other = nil
    if let untuned = try session.untuned() {
      contestants = [untuned, session].map { Contestant(session: $0, adapter: nil, layout: session.layout) }
      description = "comparing \(untuned.base.name) with the \(session.description)"
      return
    }
    guard let adapter = session.adapter else { throw Self.nothingToCompare }
    let further = try options.adapters.map {
      try session.base.adapter($0, force: inference.force, notice: workspace.notice)
    }
    contestants =
      [first]
      + ([adapter] + further).map { Contestant(session: session, adapter: $0, layout: session.layout) }
    let names = [session.description] + options.adapters.map { "adapter \($0)" }
    description = "comparing \(session.base.name) with itself and \(names.joined(separator: ", "))"
  }

  private static var nothingToCompare: SFTError {
    SFTError(
      .notFound, "there is nothing to compare the base with",
      advice: "Train a run first, or give \(OptionName.adapter) DIR")
  }

  /// `metrics.jsonl` of the run that the tuned weights are from; nil where they are from elsewhere.
  public var metrics: String? {
    get throws {
      if let run = session.modelRun { return run.folder.metrics }
      guard let folder = session.adapterFolder else { return nil }
      // runs/NAME/best, or runs/NAME/checkpoints/step-N.
      return try [parentPath(folder), parentPath(parentPath(folder))].map { $0 + "/metrics.jsonl" }
        .first(where: fileExists)
    }
  }

  /// Answers and measures of every model on every question. `progress` gets how many of so many pieces of work are done.
  public func callAsFunction(
    _ questions: [Question], file: String, progress: (Int, Int) -> Void
  ) throws -> Comparison {
    let splitting =
      options.rougeWords ?? WordSplitting.fitting(questions.compactMap(\.reference))
    let total = questions.count * contestants.count
    let prepared = try contestants.map { try prepare(questions, file: file, $0) }
    var answers: [[Comparison.Answer]] = []
    var tokens: [[[Int32]]] = []
    for (index, contestant) in contestants.enumerated() {
      let pass = contestant.session.pass
      let adapter = pass.adapter
      pass.adapter = contestant.adapter
      defer { pass.adapter = adapter }
      let generator = try Generator(
        pass, contestant.session.base.tokenizer, endTokens: try contestant.ends(questions), retention: .prompts,
        width: options.width)
      let made = try generator.generate(prepared[index].map(\.prompt), options.generation) {
        progress(index * questions.count + $0, total)
      }
      answers.append(
        try questions.indices.map { question in
          let (reference, choice) = try prepared[index][question].measure(pass, questions[question])
          return Comparison.Answer(
            made[question],
            AnswerMeasures(made[question], questions[question], reference: reference, choice: choice, splitting))
        })
      tokens.append(made.map(\.tokenIds))
    }
    let items = questions.indices.map { question in
      Comparison.Item(
        questions[question], base: answers[0][question], tuned: answers[1][question],
        others: answers.dropFirst(2).map { $0[question] })
    }
    return Comparison(settings: settings(file, splitting), items: items, tokens: tokens)
  }

  private func settings(_ file: String, _ splitting: WordSplitting) -> Comparison.Settings {
    var settings = Comparison.Settings(
      model: contestants[0].session.base.name,
      adapter: session.modelRun == nil ? session.adapterFolder : session.base.folder,
      adapters: options.adapters.isEmpty ? nil : options.adapters, modelB: options.otherModel,
      templateB: options.otherTemplate, template: session.layout.name, questions: file, rougeWords: splitting,
      sameTokenizer: other.map { $0.base.tokenizer.digest == session.base.tokenizer.digest } ?? true,
      generation: options.generation)
    settings.rowPrecision = options.inference.rowPrecision == .float32 ? nil : options.inference.rowPrecision
    return settings
  }

  /// Throws `badData` for a question that does not fit into the model's context, alone or with its expected answer.
  private func prepare(_ questions: [Question], file: String, _ contestant: Contestant) throws -> [PreparedQuestion] {
    let session = contestant.session
    let needsEnd = questions.contains { $0.reference != nil || $0.choices != nil }
    guard let endOfText = session.base.tokenizer.endOfText ?? (needsEnd ? nil : 0) else {
      throw SFTError(.badData, "the tokenizer names no end-of-text token", file: session.base.folder)
    }
    let layouts = [contestant.layout, try contestant.layoutOfConversations()]
    let encoders = layouts.map {
      QuestionEncoder(
        encoder: SampleEncoder(
          template: $0.template, tokenizer: session.base.tokenizer, endOfText: endOfText,
          settings: ChatSettings(trainOn: .last)),
        context: session.base.decoder.configuration.contextLength, file: file)
    }
    return try questions.map { try encoders[$0.isConversation ? 1 : 0].prepared($0) }
  }
}
