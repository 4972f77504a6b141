import Artifacts
import Core
import Evaluating
import Exporting
import Files
import Kernels
import Models
import Quantizing
import Tokenizing
import Weights

/// What `sft quantize` is asked for; nil means that the user did not say.
public struct QuantizeOptions: Sendable {
  public var model: String?
  public var quantization = QuantizationOptions()
  /// Folder to write.
  public var target: String?
  /// Whether it may hold an earlier export.
  public var replacing = false
  /// Raw records to measure the losses over.
  public var data: String?
  public var template: String?
  /// Whether to measure each linear's outputs over the data too, at most `outputTokens` of it.
  public var measuresOutputs = false
  /// Whether the linears' errors are wanted at all.
  public var measures = true
  public var outputTokens = 4096
  public var threads = Compute.availableThreads

  public init(model: String?) { self.model = model }
}

/// Quantises a model's linears, writes the folder where a target is given, and measures.
///
/// Throws `usage` for a model that is stored in 4 bits already, and what is wrong with the data before anything is written.
public func quantizeModel(
  _ options: QuantizeOptions, in workspace: Workspace
) throws -> QuantizationReport {
  let compute = Compute(threads: options.threads)
  let model = try workspace.modelOrDefault(options.model)
  if options.model == nil { workspace.notice("quantising \(model)") }
  let location = try workspace.model(model)
  let folder = location.folder
  let opened = try ModelCheckpoint(folder: folder)
  guard opened.quantizedNames.isEmpty else {
    throw SFTError(.usage, "the model is stored in 4 bits already", file: folder)
  }
  guard !opened.isGGUF else {
    throw SFTError(
      .usage, "the model is a GGUF file, and folders are what is quantised", file: folder,
      advice: "Give \(OptionName.model) the folder that it was converted from")
  }
  if let target = options.target { try checkTarget(target, replacing: options.replacing, sources: [folder]) }
  let tokenizerFiles = try options.target == nil ? [] : location.tokenizerFiles
  // What cannot be copied in the end is found out at the start.
  _ = try companions(of: folder, tokenizerFiles)
  let linears = opened.configuration.linears
  let names = try options.quantization.select(from: linears)
  let data = try options.data.map { try QuantizationData($0, of: model, options, workspace) }
  // One mapping of the weights, where they are used twice.
  let checkpoint = data?.session.base.checkpoint ?? opened
  let settings = options.quantization.settings
  let made = try QuantizedLinears(checkpoint, options.quantization, names, in: workspace, compute)
  let matrices = made.matrices
  let kept = linears.filter { matrices[$0.weightName] == nil }.map(\.name)
  if let target = options.target {
    try exportQuantized(
      checkpoint, matrices, settings: settings, skipped: kept,
      tokenizerFiles: tokenizerFiles, to: target)
  }
  let layers = try linears.compactMap { linear in
    try matrices[linear.weightName].map {
      try QuantizationReport.Layer($0, linear, options.measures ? checkpoint : nil, compute)
    }
  }
  var report = QuantizationReport(
    model: folder, path: options.target, layers: layers, kept: kept, bytes: layers.reduce(0) { $0 + $1.bytes },
    bitsPerWeight: 8 * Double(layers.reduce(0) { $0 + $1.bytes }) / Double(layers.reduce(0) { $0 + $1.weights }))
  try data?.measure(matrices, into: &report, options, workspace.notice)
  try made.finish()
  return report
}

/// The quantised linears of a model: an artifact's where there is one, else made for now in files that are removed once they
/// are done with, and left to the next command where this one is stopped.
private struct QuantizedLinears {
  let matrices: [String: QuantizedMatrix]
  private let artifact: Artifact<QuantizedStage.Summary>?
  private let work: UnfinishedWork?

  init(
    _ checkpoint: ModelCheckpoint, _ options: QuantizationOptions, _ names: [String], in workspace: Workspace,
    _ compute: Compute
  ) throws {
    artifact = try QuantizedStage.found(workspace, checkpoint, options)
    if let artifact {
      (matrices, work) = (try QuantizedStage.open(artifact, checkpoint), nil)
      return
    }
    let work = try workspace.store.unfinishedWork(
      QuantizedStage.name, key: QuantizedParts.key(checkpoint, names, options.settings))
    let parts = QuantizedParts(
      checkpoint: checkpoint, names: names, settings: options.settings, hashes: false, compute: compute, work: work)
    let made = try parts.make(notice: workspace.notice, progress: workspace.progress)
    matrices = try QuantizedStage.open(made.files.map(\.path), checkpoint)
    self.work = work
  }

  func finish() throws { try work?.remove() }
}

/// The model in full precision and the samples that it is compared on with its quantised self.
private struct QuantizationData {
  let session: InferenceSession
  let samples: [Sample]

  init(
    _ file: String, of model: String, _ options: QuantizeOptions, _ workspace: Workspace
  ) throws {
    var inference = InferenceOptions()
    inference.model = model
    inference.baseOnly = true
    inference.template = options.template
    inference.threads = options.threads
    inference.quantized = false
    session = try InferenceSession(inference, workspace: workspace)
    samples = try session.samples(records: file, overlong: .truncate, maxLength: nil).samples
  }

  func measure(
    _ matrices: [String: QuantizedMatrix], into report: inout QuantizationReport, _ options: QuantizeOptions,
    _ notice: (String) -> Void
  ) throws {
    let compute = session.pass.compute
    func loss(_ pass: InferencePass) throws -> Double {
      try evaluate(pass, count: samples.count) { samples[$0] }.loss
    }
    notice("measuring the loss over \(grouped(samples.count)) records, in full precision and quantised")
    report.loss = try loss(session.pass)
    report.quantizedLoss = try loss(
      InferencePass(try Decoder(session.base.checkpoint, quantized: matrices), nil, compute))
    guard options.measuresOutputs else { return }
    notice("measuring the outputs of \(report.layers.count) linears")
    let meter = OutputErrorMeter(session.base.decoder, matrices, compute)
    report.outputData = try observe(meter, samples, tokenLimit: options.outputTokens)
    let errors = Dictionary(
      uniqueKeysWithValues: zip(session.base.decoder.linears.map(\.name), meter.relativeErrors))
    for index in report.layers.indices { report.layers[index].outputError = errors[report.layers[index].name] ?? nil }
  }
}
