import Artifacts
import Core
import Files
import Kernels
import Models
import Tokenizing
import Weights

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

  /// With `quantization` the linears are quantised first, or taken from the workspace where that was done before. With
  /// `packs` what is left in full precision is laid out for many passes. Throws what is wrong with the folder, its weights, or its
  /// tokenizer.
  public init(
    _ name: String, workspace: Workspace, quantization: QuantizationOptions? = nil, packs: Bool = false,
    compute: Compute
  ) throws {
    self.workspace = workspace
    location = try workspace.model(name)
    let folder = location.folder
    try workspace.checkNamed(folder)
    checkpoint = try ModelCheckpoint(folder: folder)
    tokenizer = try loadTokenizer(folder, for: checkpoint.configuration)
    let packing = packs && compute.engine == .auto && PackedMatrix.pays ? compute : nil
    if !checkpoint.quantizedNames.isEmpty {
      // Stored in 4 bits already: that is how it is used, asked for or not.
      (self.quantization, quantized) = (nil, nil)
      decoder = try Decoder(checkpoint, quantized: try QuantizedStage.open(checkpoint), packing: packing)
    } else if let quantization {
      let digest = try modelDigest(checkpoint, in: workspace)
      let artifact = try QuantizedStage.run(workspace.store, checkpoint, digest: digest, quantization, compute)
      (self.quantization, quantized) = (quantization, artifact)
      decoder = try Decoder(checkpoint, quantized: try QuantizedStage.open(artifact, checkpoint), packing: packing)
    } else {
      (self.quantization, quantized) = (nil, nil)
      decoder = try Decoder(checkpoint, packing: packing)
    }
    // What parsing a vocabulary and quantising leave free in the heap is as much as a small model.
    Compute.trimHeap()
  }

  /// Over the tensors' names, shapes and values; kept in the workspace by the files' identity.
  public func digest() throws -> Digest { try modelDigest(checkpoint, in: workspace) }

  /// Throws `badData` where the data was prepared for another tokenizer or a longer context.
  func check(against data: PreparedData) throws {
    guard tokenizer.digest == data.summary.tokenizer else {
      throw SFTError(
        .badData, "the tokenizer of \(name) is not the one the data was prepared with", file: folder,
        advice: "Run `sft prepare` with this model")
    }
    guard data.summary.maxLength <= decoder.configuration.contextLength else {
      throw SFTError(
        .badData,
        "the data was prepared for \(data.summary.maxLength) tokens, the model's context is "
          + "\(decoder.configuration.contextLength)", file: folder)
    }
  }

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
            file: folder, advice: "Give that base with --model, or insist with --force")
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

/// A model's digest, kept in the workspace by its files' identity.
public func modelDigest(_ checkpoint: ModelCheckpoint, in workspace: Workspace) throws -> Digest {
  try workspace.store.cachedDigest(identity: "base 1\n" + checkpoint.identity) {
    try checkpoint.baseDigest(threads: Compute.availableThreads)
  }
}
