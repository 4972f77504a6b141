import Artifacts
import Core
import Files
import Kernels

/// Prepared data and base of a training. What one run of a command opened, the command's later runs get again: a base is
/// mapped, quantised and given its tokenizer once, however many learning rates are tried on it.
public final class TrainingInputs {
  private var data: PreparedData?
  private var opened: (folder: String, model: OpenedModel)?
  private var base: (folder: String, isFrozen: Bool, compute: Compute, model: BaseModel)?

  public init() {}

  /// This process when a training was first planned, with data and tokenizer open and no base yet.
  private(set) lazy var memory = MemoryAllowance.current

  /// nil where the data is gone, or where there is none.
  func data(_ reference: ArtifactReference?, _ workspace: Workspace, threads: Int) throws -> PreparedData? {
    guard let reference else { return nil }
    if let data, data.reference == reference { return data }
    data = try workspace.preparedData(reference, threads: threads)
    return data
  }

  /// The model's folder and tokenizer, which have to fit the data; no weights are read.
  func opened(_ name: String, for data: PreparedData, _ workspace: Workspace) throws -> OpenedModel {
    let folder = try folder(name, workspace)
    if let opened, opened.folder == folder {
      try opened.model.check(against: data)
      return opened.model
    }
    opened = nil
    let model = try OpenedModel(name, in: workspace)
    try model.check(against: data)
    opened = (folder, model)
    return model
  }

  private func folder(_ name: String, _ workspace: Workspace) throws -> String {
    let resolved = try workspace.model(name).folder
    return canonicalPath(resolved) ?? resolved
  }

  /// The base, which has to fit the data. It is trained upon where it is frozen, and else only read.
  func base(
    _ name: String, _ quantization: QuantizationOptions?, isFrozen: Bool, _ compute: Compute, for data: PreparedData,
    _ workspace: Workspace
  ) throws -> BaseModel {
    let opened = try opened(name, for: data, workspace)
    let folder = try folder(name, workspace)
    if let base, base.folder == folder, base.isFrozen == isFrozen, base.compute.engine == compute.engine,
      base.compute.threads == compute.threads,
      // One that is stored in 4 bits is no other for being asked for so.
      base.model.quantization == quantization || !base.model.checkpoint.quantizedNames.isEmpty
    {
      return base.model
    }
    // Two bases need not be in memory at once.
    base = nil
    let model = try BaseModel(
      opened, workspace: workspace, quantization: quantization, usesPanels: isFrozen, compute: compute)
    base = (folder, isFrozen, compute, model)
    return model
  }
}
