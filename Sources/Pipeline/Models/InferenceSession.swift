import Core
import Evaluating
import Files
import Kernels
import Models
import SampleEncoding
import Templating
import Tokenizing
import Weights

/// Which model, adapter and template a verb is to use; nil means that the user did not say.
public struct InferenceOptions: Sendable {
  public var model: String?
  public var adapter: String?
  /// The bare base, whatever runs there are.
  public var baseOnly = false
  /// Take the newest run's adapter even where a model is given.
  public var needsAdapter = false
  public var run: String?
  public var checkpoint: Int?
  public var template: String?
  /// Whether the session's template is to be used.
  public var usesTemplate = true
  public var force = false
  public var threads: Int?
  /// nil where the user did not say: then as the run has it.
  public var quantized: Bool?
  /// How; nil where the user did not say.
  public var quantization: QuantizationOptions?
  public var engine: Engine = .auto
  /// What 4-bit weights are multiplied with where a few rows are at a time.
  public var rowPrecision = RowPrecision.float32
  /// Many rows are to be computed: for one answer it does not pay to lay the weights out.
  public var usesPanels = false

  public init() {}

  /// Whether what is wrong with the newest run matters: not where all is named that could be taken from it.
  fileprivate var needsRun: Bool {
    model == nil || run != nil || checkpoint != nil || needsAdapter || (usesTemplate && template == nil)
  }
}

/// A model with its adapter and template, taken from the options, else from the newest run, else from the newest prepared
/// data, else from what an adapter says of its base; without any of them it is the embedded model.
public final class InferenceSession {
  public let base: BaseModel
  /// nil for the bare base, and for a run that trained all weights: `base` is then the model that it made.
  public let adapter: Adapter?
  public let adapterFolder: String?
  /// The run that made the model, where one did.
  public let modelRun: RecordedRun?
  /// The run whose weights are used; nil where they are of none.
  public let runName: String?
  /// The run that made the whole model, where one did.
  public var tunedRun: String? { modelRun?.folder.name }
  /// What is used, in words.
  public let description: String
  let layout: RecordLayout
  /// Whether the user named it, or the data or the run were made with it.
  private let layoutIsNamed: Bool
  /// The layout that the weights were trained with, or that was named for them; nil where neither is known.
  let exportedLayout: RecordLayout?
  public let maxLength: Int
  public let pass: InferencePass
  let threads: Int
  let workspace: Workspace

  public init(_ options: InferenceOptions, workspace: Workspace) throws {
    self.workspace = workspace
    threads = options.threads ?? Compute.availableThreads
    guard threads >= 1 else { throw SFTError(.usage, "\(OptionName.threads) must be at least 1") }
    guard options.adapter == nil || (options.checkpoint == nil && options.run == nil) else {
      throw SFTError(
        .usage, "\(OptionName.adapter) names one adapter, \(OptionName.run) and \(OptionName.checkpoint) another",
        advice: "Give one of them")
    }
    let run =
      options.needsRun ? try workspace.recordedRun(options.run) : try? workspace.recordedRun(nil, saying: false)
    // Text has no template: a run that is trained from scratch on it says nothing of one. It has no base either.
    let fromScratch = run?.configuration.settings.method == .pretrain
    let prepared = run == nil || fromScratch ? try workspace.preparedSummary() : nil
    let described = try options.adapter.map { try AdapterFolder.describe($0) }
    let baseOfAdapter = described?.baseModel.flatMap { $0.isEmpty ? nil : $0 }
    // The run's weights are wanted, unless a model or adapter is named and the run is not.
    let wanted =
      options.adapter == nil && (!options.baseOnly || fromScratch)
        && (options.model == nil || options.run != nil || options.checkpoint != nil || options.needsAdapter)
      ? run : nil
    let tuned = try wanted.flatMap { $0.isModel ? try workspace.weights(of: $0, checkpoint: options.checkpoint) : nil }
    modelRun = tuned == nil ? nil : run
    runName = wanted?.folder.name
    if tuned != nil, let name = options.model, let run { try Self.refuse(name, beside: run, in: workspace) }
    let ofRunOrData = fromScratch ? prepared?.model : run?.configuration.model ?? prepared?.model
    let named = tuned?.folder ?? options.model ?? ofRunOrData ?? baseOfAdapter
    guard let model = named ?? (described == nil ? workspace.embeddedByDefault() : nil) else {
      throw SFTError(
        .usage, "the adapter does not say what its base is", file: options.adapter,
        advice: "Give it with \(OptionName.model)")
    }
    var compute = Compute(engine: options.engine, threads: threads)
    compute.rowPrecision = options.rowPrecision
    let ofRun = options.model == nil || options.run != nil ? run?.configuration.quantization : nil
    let quantization: QuantizationOptions? =
      switch options.quantized {
      case false?: nil
      case true?: options.quantization ?? ofRun ?? QuantizationOptions()
      case nil: ofRun
      }
    let base = try BaseModel(
      model, workspace: workspace, quantization: quantization, usesPanels: options.usesPanels, compute: compute)
    self.base = base
    let rounding: OptionName? =
      switch options.rowPrecision {
      case .float32: nil
      case .int16: .int16
      case .int8: .int8
      }
    if let rounding {
      if !base.decoder.isQuantized {
        workspace.notice("\(rounding) has no effect: the weights are not in 4 bits.")
      } else if !options.rowPrecision.isAvailable {
        workspace.notice("\(rounding) has no effect: this CPU has no AVX2.")
      }
    }
    layoutIsNamed = options.template != nil || !fromScratch && run != nil || prepared != nil
    if let template = options.template {
      layout = try RecordLayout(named: template, folder: base.folder, date: .today)
    } else if !fromScratch, let recorded = run?.configuration {
      layout = try RecordLayout(
        recorded.layout, name: recorded.templateName, source: recorded.template, folder: base.folder)
    } else if let prepared {
      layout = try RecordLayout(prepared, folder: base.folder)
    } else {
      layout = RecordLayout(try PromptTemplate.named(PromptTemplate.shippedNames[0]))
    }
    let isOfRun = wanted != nil || run.map { options.adapter?.isInside($0.folder.path) ?? false } ?? false
    exportedLayout = options.template != nil || isOfRun && !fromScratch ? layout : nil
    let context = base.decoder.configuration.contextLength
    maxLength = min(context, (fromScratch ? nil : run?.configuration.maxLength) ?? prepared?.maxLength ?? context)

    if let folder = options.adapter {
      (adapterFolder, description) = (folder, "adapter \(folder)")
    } else if let wanted {
      if !options.force { try Self.check(base, against: wanted) }
      if let tuned {
        (adapterFolder, description) = (nil, tuned.description)
      } else {
        (adapterFolder, description) = try workspace.weights(of: wanted, checkpoint: options.checkpoint)
      }
    } else {
      if let run, options.model == nil, !options.force { try Self.checkBase(base, against: run) }
      guard options.checkpoint == nil else {
        throw SFTError(.usage, "\(OptionName.checkpoint) needs a run", advice: "Give \(OptionName.run) NAME")
      }
      (adapterFolder, description) = (nil, "the base alone")
    }
    adapter = try adapterFolder.map { try base.adapter($0, force: options.force, notice: workspace.notice) }
    pass = InferencePass(base.decoder, adapter, compute)
  }

  /// Throws `usage` where a model is named beside a run that has its own and did not start from that one.
  private static func refuse(_ model: String, beside run: RecordedRun, in workspace: Workspace) throws {
    guard try workspace.model(model).recordedName != run.configuration.model else { return }
    throw SFTError(
      .usage, "run \(run.folder.name) has a whole model of its own, which \(OptionName.model) \(model) has no part in",
      advice: "Leave \(OptionName.model) out")
  }

  /// A run's tokenizer must still be what it was.
  private static func check(_ base: BaseModel, against run: RecordedRun) throws {
    guard base.tokenizer.digest == run.configuration.tokenizer else {
      throw SFTError(
        .badData, "the tokenizer of \(base.name) is not the one that run \(run.folder.name) was trained with",
        file: base.folder)
    }
  }

  /// A bare base, which no adapter's own digest guards.
  private static func checkBase(_ base: BaseModel, against run: RecordedRun) throws {
    try check(base, against: run)
    guard try base.digest() == run.configuration.baseDigest else {
      throw SFTError(
        .badData, "the model \(base.name) is not the one that run \(run.folder.name) was trained on",
        file: base.folder, advice: "Give the model to use with \(OptionName.model)")
    }
  }

  /// What a model is given, and what ends its answer beside the tokens that end its texts.
  public struct Prompt: Sendable {
    public var ids: [Int32]
    public var endTokens: [Int32]
  }

  /// A question in the session's template, up to where the answer begins.
  ///
  /// Throws `badData` where a chat template does not take a lone question.
  public func prompt(instruction: String, input: String) throws -> Prompt {
    try prompt([Conversation.Turn(role: Role.user, content: instruction, input: input)], tools: "", layout)
  }

  /// A conversation in the template of conversations, up to where the answer to it begins.
  ///
  /// Throws `badData` where the template does not take it.
  public func prompt(_ conversation: Conversation) throws -> Prompt {
    try prompt(conversation.turns, tools: conversation.tools, try layoutOfConversations())
  }

  /// Turns in a layout, up to where the answer begins.
  func prompt(_ turns: [Conversation.Turn], tools: String, _ layout: RecordLayout) throws -> Prompt {
    do {
      return Prompt(ids: try encoder(layout).prompt(turns, tools: tools), endTokens: endTokens(layout))
    } catch let fault as EncodingFault {
      throw SFTError(.badData, fault.message, advice: fault.advice)
    }
  }

  /// For prompts, which need no end of text.
  private func encoder(_ layout: RecordLayout) -> SampleEncoder {
    SampleEncoder(
      template: layout.template, tokenizer: base.tokenizer, endOfText: base.tokenizer.endOfText ?? 0)
  }

  /// What ends an answer in a chat template, beside the tokens that end the model's texts.
  func endTokens(_ layout: RecordLayout) -> [Int32] { encoder(layout).turnEnd.map { [$0] } ?? [] }

  /// The layout of conversations: the session's, unless nobody has named it and the model has a chat template of its own.
  func layoutOfConversations() throws -> RecordLayout {
    guard !layoutIsNamed, let template = try ChatTemplate.of(folder: base.folder) else { return layout }
    return RecordLayout(.chat(template, .today), name: RecordLayout.modelName)
  }

  /// A text without a template.
  public func prompt(text: String) -> Prompt {
    Prompt(ids: base.tokenizer.begin(base.tokenizer.makeEncoder().encode(text)), endTokens: [])
  }

  /// What a run that trained all weights started from, which no adapter's absence gives; nil where there is no such run.
  /// Throws `usage` where it started from scratch.
  func untuned() throws -> InferenceSession? {
    guard let run = modelRun else { return nil }
    guard run.configuration.settings.method != .pretrain else {
      throw SFTError(
        .usage, "run \(run.folder.name) was trained from scratch: it has no base to be compared with",
        advice: "Compare it with another model by \(OptionName.modelB)")
    }
    var options = InferenceOptions()
    options.run = run.folder.name
    options.baseOnly = true
    options.threads = threads
    options.engine = pass.compute.engine
    return try InferenceSession(options, workspace: workspace.silent)
  }
}

extension String {
  /// Whether a path leads into a folder.
  fileprivate func isInside(_ folder: String) -> Bool {
    guard let own = canonicalPath(self), let folder = canonicalPath(folder) else { return false }
    return own.hasPrefix(folder + "/")
  }
}
