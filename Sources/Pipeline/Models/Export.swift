import Core
import Exporting
import Files
import Models
import Tokenizing
import Training
import Weights

/// What `sft export` is asked for, besides the session.
public struct ExportOptions: Sendable {
  /// nil for an adapter; a merged model where the run trained all weights; the model where there is nothing else.
  public var format: ExportFormat?
  /// Whether the user said which model: a base alone is not exported because there happens to be nothing else.
  public var modelIsNamed = false
  /// Folder to write.
  public var target: String
  /// Of a merged model's weights, nil for each as the base has it; or of a GGUF file's, nil for 16 bits, or of an adapter's in
  /// such a file, nil for float32.
  public var dtype: ExportedType?
  /// What a GGUF adapter's Modelfile calls its base; nil for the base's name with `.gguf`.
  public var ggufBase: String?
  /// Whether it may hold an earlier export.
  public var replacing = false
  /// Whether to report how much of a merged adapter is left where the model is quantised again; nil for where the adapter
  /// was trained over a quantised base, or `quantization` is given.
  public var reportsRequantization: Bool?
  /// How the merged model is quantised in the report on what is left of the adapter; nil for as the adapter's base was,
  /// else the usual way.
  public var quantization: QuantizationOptions?

  public init(_ format: ExportFormat?, to target: String) { (self.format, self.target) = (format, target) }
}

/// What there is to say of an export.
public struct ExportOutcome: Sendable {
  /// On the merged adapter, where that was asked for.
  public var requantization: RequantizationReport?
  /// Of a file for llama.cpp.
  public var gguf: GGUFExportReport?
}

/// Writes what other tools load.
///
/// Throws `cannotCreate` where the target holds something already, unless it is an export and `replacing`; and `usage` for
/// a report without an adapter, and for a type of weights that the format does not have.
public func export(_ session: InferenceSession, _ options: ExportOptions) throws -> ExportOutcome {
  try checkTarget(
    options.target, replacing: options.replacing,
    sources: [session.base.folder, session.adapterFolder].compactMap(\.self))
  let format = options.format ?? session.exportFormat
  let isWhole = [.model, .gguf, .onnx].contains(format)
  guard !isWhole || options.format == .model || options.modelIsNamed || session.isTuned else {
    throw SFTError(
      .notFound, "there is nothing to export",
      advice: "Train a run first, or give \(OptionName.adapter) or \(OptionName.model)")
  }
  guard [.merged, .gguf, .ggufLoRA].contains(format) || options.dtype == nil else {
    throw SFTError(
      .usage,
      "\(OptionName.dtype) goes with \(OptionName.format) merged, gguf and gguf-lora: a PEFT adapter and ONNX are written in "
        + "float32, a model as it is")
  }
  guard format != .merged || options.dtype.map({ $0.inFolder != nil }) ?? true else {
    throw SFTError(
      .usage, "a model's folder is not written in \(options.dtype?.rawValue ?? "")",
      advice: "Give \(OptionName.dtype) float32, float16 or bfloat16, or \(OptionName.format) gguf")
  }
  let report = format == .merged ? try requantizationReport(session, options) : nil
  return ExportOutcome(requantization: report, gguf: try write(session, options, format: format))
}

extension InferenceSession {
  /// What a session's weights are exported as where nothing is said.
  public var exportFormat: ExportFormat { adapter != nil ? .peft : modelRun != nil ? .merged : .model }
}

extension InferenceSession {
  /// What the tokenizer's files are to say otherwise than the base's, so that who loads the weights lays conversations out as
  /// they were trained and stops where they end; nil where that is nothing.
  var exportedTurns: ExportedTurns? {
    get throws {
      guard let layout = exportedLayout, case .chat(let template, _) = layout.template else { return nil }
      let tokenizer = base.tokenizer
      let turnEnd = TemplateTokens(layout: layout, tokenizer: tokenizer).turnEnd
      let end = try turnEnd.flatMap { id -> (id: Int32, text: String)? in
        let text = try tokenizer.decode([id], skipSpecialTokens: false)
        return tokenizer.endTokens.contains(id) ? nil : (id: id, text: text)
      }
      let isOwn = layout.name == RecordLayout.modelName
      if isOwn, end == nil { return nil }
      return ExportedTurns(template: isOwn ? nil : template.source, end: end, oldEnds: tokenizer.endTokens)
    }
  }
}

/// nil where none is asked for.
private func requantizationReport(
  _ session: InferenceSession, _ options: ExportOptions
) throws -> RequantizationReport? {
  try checkMergeable(session.base)
  let asked = options.reportsRequantization
  guard let adapter = session.adapter, let folder = session.adapterFolder else {
    guard asked != true else {
      throw SFTError(
        .notFound, "there is no adapter to report on", advice: "Train a run first, or give \(OptionName.adapter) DIR")
    }
    return nil
  }
  let recorded = try AdapterFolder.describe(folder).quantization
  guard asked ?? (recorded != nil || options.quantization != nil) else { return nil }
  let quantization = try options.quantization ?? recorded.map(parse) ?? QuantizationOptions()
  return try measureRequantization(
    of: session.base.decoder, adapter, quantizing: Set(try quantization.select(from: session.base.decoder.linears)),
    quantization.settings, threads: session.threads)

  func parse(_ recorded: String) throws -> QuantizationOptions {
    guard let quantization = QuantizationOptions(description: recorded) else {
      throw SFTError(
        .badData, "the adapter's base was quantised in a way that is not known here: '\(recorded)'", file: folder,
        advice: "Say how to quantise with \(OptionName.qlora) \(OptionName.quant), or give \(OptionName.noReport)")
    }
    return quantization
  }
}

/// The model that a run which trained all weights started from; nil where it started from scratch. Throws where it is not there
/// any more, or not as it was.
private func origin(of run: RecordedRun, in workspace: Workspace) throws -> ModelCheckpoint? {
  let configuration = run.configuration
  guard configuration.settings.method != .pretrain else { return nil }
  let location: ModelLocation
  do {
    location = try workspace.model(configuration.model)
  } catch let error as SFTError where error.kind == .notFound {
    throw SFTError(
      .notFound,
      "the model \(configuration.model) that run \(run.folder.name) started from is not there to say how weights are stored",
      advice: "Put it back, or use \(run.folder.model), which is the model in float32")
  }
  let checkpoint = try ModelCheckpoint(folder: location.folder)
  guard try modelDigest(checkpoint, in: workspace) == configuration.baseDigest else {
    throw SFTError(
      .badData, "the model \(configuration.model) is not the one that run \(run.folder.name) was trained on",
      file: checkpoint.folder)
  }
  return checkpoint
}

private func checkMergeable(_ base: BaseModel) throws {
  guard base.checkpoint.quantizedNames.isEmpty else {
    throw SFTError(
      .usage, "the model is stored in 4 bits, so nothing can be merged into it", file: base.folder,
      advice: "Give \(OptionName.model) the folder that it was quantised from")
  }
  guard !base.checkpoint.isGGUF else {
    throw SFTError(
      .usage,
      "the model is a GGUF file, of which an adapter alone is exported: nothing is merged into it, nor is it written as a folder",
      file: base.folder,
      advice: "Export with \(OptionName.format) gguf-lora, which llama.cpp and Ollama load beside the file, or peft; "
        + "\(OptionName.format) model copies the file as it is")
  }
}

/// Throws `cannotCreate` where `folder` is a file or holds something already. With `replacing` it may hold an export, known
/// by its files; never one of `sources`, which is what is exported, nor the folder of one that is a file; nor a run's weights, nor
/// a folder with other folders in it, such as the one that sft runs in.
func checkTarget(_ folder: String, replacing: Bool, sources: [String]) throws {
  guard let status = try FileStatus(folder) else { return }
  guard status.kind == .directory else { throw SFTError(.cannotCreate, "is in the way of a folder", file: folder) }
  let names = try directoryEntries(folder)
  if names.isEmpty { return }
  guard replacing else {
    throw SFTError(
      .cannotCreate, "the folder is not empty", file: folder,
      advice: "Give another \(OptionName.to), or replace an earlier export with \(OptionName.overwrite)")
  }
  let isExport =
    !Set(names).isDisjoint(
      with: ["adapter_config.json", "model.safetensors", "model.safetensors.index.json", "model.onnx"])
    || names.contains("Modelfile") && names.contains { $0.hasSuffix(".gguf") }
  let hasFolders = try names.contains { try FileStatus(folder + "/" + $0)?.kind != .file }
  guard isExport, !hasFolders, !names.contains(FolderManifest.fileName), let own = canonicalPath(folder),
    own != canonicalPath(".")
  else { throw SFTError(.cannotCreate, "is not an earlier export, so it is not replaced", file: folder) }
  for source in sources {
    guard let path = canonicalPath(source) else { continue }
    let isFile = try FileStatus(path)?.kind == .file
    guard own != path, !isFile || own != parentPath(path) else {
      let words = isFile ? "holds \(lastPathComponent(path)), which is exported" : "is what is exported"
      throw SFTError(
        .cannotCreate, "\(words), so it is not replaced", file: folder, advice: "Give another \(OptionName.to)")
    }
  }
}

private func write(
  _ session: InferenceSession, _ options: ExportOptions, format: ExportFormat
) throws -> GGUFExportReport? {
  let (base, folder) = (session.base, options.target)
  switch format {
  case .peft:
    try exportAdapter(
      try session.exportedAdapter(orWhole: .merged), for: base.decoder, baseModel: base.reference,
      baseDigest: try base.digest(),
      quantization: base.quantization?.description, modelFolder: base.folder, tokenizerFiles: base.tokenizerFiles,
      turns: try session.exportedTurns, to: folder)
  case .onnx:
    try checkMergeable(base)
    try exportONNX(
      base.checkpoint, base.decoder, adapter: session.adapter, tokenizerFiles: base.tokenizerFiles,
      turns: try session.exportedTurns, to: folder, threads: session.threads)
  case .model:
    try exportModel(base.checkpoint, tokenizerFiles: base.tokenizerFiles, to: folder)
  case .merged:
    try checkMergeable(base)
    try exportMerged(
      base.checkpoint, base.decoder, adapter: session.adapter,
      origin: try session.modelRun.flatMap { try origin(of: $0, in: session.workspace) },
      tokenizerFiles: base.tokenizerFiles, turns: try session.exportedTurns, to: folder, dtype: options.dtype?.inFolder,
      threads: session.threads)
  case .gguf:
    try checkMergeable(base)
    return try exportGGUF(
      session, dtype: options.dtype?.inGGUF ?? session.storedTypeInGGUF, name: session.exportedName, to: folder)
  case .ggufLoRA:
    return try exportGGUFAdapter(
      session,
      base: options.ggufBase
        ?? (session.base.checkpoint.isGGUF
          ? canonicalPath(session.base.folder) ?? session.base.folder : "./" + ggufFileName(session.shortBaseName)),
      dtype: options.dtype?.inGGUF ?? .f32,
      name: session.exportedName + "-lora", to: folder)
  }
  return nil
}

extension InferenceSession {
  /// Throws `usage` where there is no adapter, with the format of a whole model as advice where a run has made one.
  func exportedAdapter(orWhole format: ExportFormat) throws -> Adapter {
    if let adapter { return adapter }
    throw SFTError(
      .usage,
      "there is no adapter to export" + (modelRun.map { ": run \($0.folder.name) trained all weights" } ?? ""),
      advice: modelRun == nil
        ? "Train a run first, or give \(OptionName.adapter) DIR" : "Give \(OptionName.format) \(format.rawValue)")
  }

  /// What files that are named for what they hold are called: the base, and the run whose weights are with it.
  fileprivate var exportedName: String {
    let base = modelRun == nil ? shortBaseName : nil
    return ([base, runName].compactMap(\.self)).joined(separator: "-")
  }

  fileprivate var shortBaseName: String {
    base.shortName.split(separator: "/").last.map(String.init) ?? base.shortName
  }

  /// 16 bits, as the embeddings are stored if they are.
  fileprivate var storedTypeInGGUF: GGUFWeightType {
    get throws {
      try base.checkpoint.info(base.checkpoint.configuration.embedding.name).dtype == .bf16 ? .bf16 : .f16
    }
  }
}
