import Artifacts
import Core
import Files
import Kernels
import Models
import Tokenizing
import Weights

/// A model's folder or GGUF file, checked, and its tokenizer: what is known before any weight is read.
final class OpenedModel {
  let location: ModelLocation
  let checkpoint: ModelCheckpoint
  let tokenizer: Tokenizer

  /// Throws what is wrong with the folder, its weights' headers, or its tokenizer.
  init(_ name: String, in workspace: Workspace) throws {
    location = try workspace.model(name)
    try workspace.checkNamed(location.folder)
    checkpoint = try ModelCheckpoint(folder: location.folder)
    tokenizer = try loadTokenizer(location.folder, for: checkpoint.configuration)
    // What parsing a vocabulary leaves free in the heap is as much as a small model.
    Compute.trimHeap()
  }

  /// Throws `badData` where the data was prepared for another tokenizer or a longer context.
  func check(against data: PreparedData) throws {
    guard tokenizer.digest == data.summary.tokenizer else {
      throw SFTError(
        .badData, "the tokenizer of \(location.name) is not the one the data was prepared with", file: location.folder,
        advice: "Run `sft prepare` with this model")
    }
    guard data.summary.maxLength <= checkpoint.configuration.contextLength else {
      throw SFTError(
        .badData,
        "the data was prepared for \(data.summary.maxLength) tokens, the model's context is "
          + "\(checkpoint.configuration.contextLength)", file: location.folder)
    }
  }
}

/// A base model, open for use.
public final class BaseModel {
  private let location: ModelLocation
  public let checkpoint: ModelCheckpoint
  public let decoder: Decoder
  public let tokenizer: Tokenizer
  /// How the linears are quantised at run time; nil for the checkpoint as it is.
  public let quantization: QuantizationOptions?
  private let workspace: Workspace
  /// Kept in use for as long as its weights are mapped.
  private let quantized: Artifact<QuantizedStage.Summary>?

  /// As the user named it.
  public var name: String { location.name }
  public var folder: String { location.folder }
  /// The name without the folders that lead to it; one of the hub's as it is.
  public var shortName: String {
    guard location.name == location.folder || location.name.hasPrefix("/") || location.name.hasPrefix(".") else {
      return location.name
    }
    let last = (canonicalPath(folder) ?? folder).split(separator: "/").last.map(String.init) ?? name
    return checkpoint.isGGUF ? String(last.dropLast(".gguf".count)) : last
  }

  /// Throws what is wrong with the folder, its weights, or its tokenizer.
  public convenience init(
    _ name: String, workspace: Workspace, quantization: QuantizationOptions? = nil, usesPanels: Bool = false,
    compute: Compute
  ) throws {
    try self.init(
      OpenedModel(name, in: workspace), workspace: workspace, quantization: quantization, usesPanels: usesPanels,
      compute: compute)
  }

  /// With `quantization` the linears are quantised first, or taken from the workspace where that was done before. With
  /// `usesPanels` what is left in full precision is laid out for many passes.
  init(
    _ opened: OpenedModel, workspace: Workspace, quantization: QuantizationOptions?, usesPanels: Bool, compute: Compute
  ) throws {
    self.workspace = workspace
    (location, checkpoint, tokenizer) = (opened.location, opened.checkpoint, opened.tokenizer)
    let panels = usesPanels && Self.usesPanels(compute) ? compute : nil
    if !checkpoint.quantizedNames.isEmpty {
      // Stored in 4 bits already: that is how it is used, asked for or not.
      (self.quantization, quantized) = (nil, nil)
      decoder = try Decoder(checkpoint, quantized: try QuantizedStage.open(checkpoint), panels: panels)
    } else if let quantization {
      try checkpoint.refuseQuantizing()
      let artifact = try QuantizedStage.run(workspace, checkpoint, quantization, compute)
      (self.quantization, quantized) = (quantization, artifact)
      decoder = try Decoder(checkpoint, quantized: try QuantizedStage.open(artifact, checkpoint), panels: panels)
    } else {
      (self.quantization, quantized) = (nil, nil)
      decoder = try Decoder(checkpoint, panels: panels)
    }
    // The same of quantising.
    Compute.trimHeap()
  }

  /// Whether weights are laid out where that is asked for.
  static func usesPanels(_ compute: Compute) -> Bool { compute.engine == .auto && PanelMatrix.pays }

  /// Over the tensors' names, shapes and values; kept in the workspace by the files' identity.
  public func digest() throws -> Digest { try modelDigest(checkpoint, in: workspace) }

  /// How it is recorded, and what an adapter gives as its base.
  public var reference: String { location.recordedName }

  /// Whether it is the model inside the program.
  public var isEmbedded: Bool { location.isEmbedded }

  /// The paths of the tokenizer's files.
  public var tokenizerFiles: [String] { get throws { try location.tokenizerFiles } }

  /// Reads an adapter and refuses one that was trained on another base; `force` insists, where the shapes allow.
  public func adapter(_ folder: String, force: Bool, notice: (String) -> Void) throws -> Adapter {
    try workspace.checkNamed(folder)
    let description = try AdapterFolder.describe(folder)
    if let recorded = description.baseDigest {
      let own = try digest()
      if recorded != own {
        guard force else {
          throw SFTError(
            .badData,
            "the adapter was trained on another base (digest \(recorded.short)) than \(name) (digest \(own.short))",
            file: folder, advice: "Give that base with \(OptionName.model), or insist with \(OptionName.force)")
        }
        notice("The adapter \(folder) was trained on another base; it is used all the same.")
      }
    }
    // Adapters of other tools do not say; and a folder in 4 bits cannot be had otherwise.
    if description.baseDigest != nil, description.quantization != quantization?.description,
      checkpoint.quantizedNames.isEmpty
    {
      func words(_ quantization: String?) -> String { quantization ?? "full precision" }
      notice(
        "The adapter was trained with its base in \(words(description.quantization)); here it is in "
          + "\(words(quantization?.description)).")
    }
    return try AdapterFolder.read(folder, for: decoder)
  }
}

extension ModelCheckpoint {
  /// Throws `usage` where linears are in ggml's quantised blocks: to quantise them once more would lose what the blocks hold.
  func refuseQuantizing() throws {
    let names = Set(configuration.linears.map(\.weightName))
    let types = Set(try blockNames.filter(names.contains).map { try info($0).typeName })
    guard !types.isEmpty else { return }
    throw SFTError(
      .usage, "the model's weights are quantised already (\(types.sorted().joined(separator: ", ")))", file: folder,
      advice: "Leave \(OptionName.qlora) out: they are used as they are, and take as little memory")
  }
}

/// A model's digest, kept in the workspace by its files' identity.
public func modelDigest(_ checkpoint: ModelCheckpoint, in workspace: Workspace) throws -> Digest {
  if let known = workspace.knownDigest(checkpoint) { return known }
  let meter = WorkMeter("reading the base", total: checkpoint.byteCount) {
    try workspace.progress($0)
  }
  let digest = try checkpoint.baseDigest(threads: Compute.availableThreads) { try meter($0) }
  workspace.keepDigest(digest, checkpoint)
  return digest
}

extension Workspace {
  /// A model's digest where its files were read before; nil otherwise.
  func knownDigest(_ checkpoint: ModelCheckpoint) -> Digest? {
    store.knownDigest(identity: Self.identity(checkpoint))
  }

  func keepDigest(_ digest: Digest, _ checkpoint: ModelCheckpoint) {
    store.keepDigest(digest, identity: Self.identity(checkpoint))
  }

  private static func identity(_ checkpoint: ModelCheckpoint) -> String { "base 1\n" + checkpoint.identity }
}
