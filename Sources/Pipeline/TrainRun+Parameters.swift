import Core
import Files
import Models
import Training

/// What a run trains.
extension TrainRun {
  /// The base's weights, to be trained themselves. Throws `usage` where they are stored in 4 bits.
  func trainable(_ base: BaseModel) throws -> TrainableWeights {
    guard base.checkpoint.quantizedNames.isEmpty else {
      throw SFTError(
        .usage, "the model is stored in 4 bits, which --full cannot train", file: base.folder,
        advice: "Give --model the folder that it was quantised from, or train an adapter")
    }
    return try TrainableWeights(base.checkpoint)
  }

  /// What is trained, as it is at the start; the adapter's configuration, and the digest of the one that it starts from.
  func newParameters(
    _ base: BaseModel
  ) throws -> (lora: LoRAConfiguration?, initial: String?, trained: TrainedParameters) {
    if options.full { return (nil, nil, .weights(try trainable(base))) }
    if let folder = options.initialAdapter {
      let adapter = try base.adapter(folder, force: options.force) { event(.note($0)) }
      let lora = adapter.configuration
      try refuseConflicts(with: lora, folder)
      event(.note("Starting from the adapter \(folder): r \(lora.rank), alpha \(lora.alpha)."))
      return (lora, try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex, .adapter(adapter))
    }
    let lora = askedLoRA
    return (lora, nil, .adapter(try freshAdapter(lora, options.seed ?? TrainOptions.standardSeed, base)))
  }

  /// The adapter that the options ask for.
  var askedLoRA: LoRAConfiguration {
    LoRAConfiguration(
      rank: options.rank ?? 16, alpha: options.alpha ?? 16, dropout: options.dropout ?? 0,
      rankStabilized: options.rankStabilized ?? false, targets: options.targets ?? [LoRAConfiguration.allLinear],
      layers: options.layers)
  }

  /// The same for a run whose settings are those of another; it is called `name`.
  func newParameters(_ settings: TrainingSettings, _ name: String, _ base: BaseModel) throws -> TrainedParameters {
    guard let lora = settings.lora else { return .weights(try trainable(base)) }
    if settings.initialAdapter == nil { return .adapter(try freshAdapter(lora, settings.seed, base)) }
    guard options.initialAdapter != nil else {
      throw SFTError(
        .usage, "run \(name) is to start from another adapter, as the others did",
        advice: "Give that again with --init-adapter")
    }
    let (_, initial, trained) = try newParameters(base)
    guard initial == settings.initialAdapter else {
      throw SFTError(
        .badData, "the adapter to start from is not the one that the other runs started from",
        file: options.initialAdapter)
    }
    return trained
  }

  func freshAdapter(_ lora: LoRAConfiguration, _ seed: UInt64, _ base: BaseModel) throws -> Adapter {
    let adapter = try Adapter(lora, for: base.decoder.linears)
    adapter.initialize(seed: seed)
    return adapter
  }

  private func refuseConflicts(with lora: LoRAConfiguration, _ folder: String) throws {
    func refuse(_ flag: String, _ own: some CustomStringConvertible, _ its: some CustomStringConvertible) -> SFTError {
      SFTError(
        .usage, "\(flag) is \(own), but the adapter to start from has \(its)", file: folder,
        advice: "Leave \(flag) out: an adapter brings its own")
    }
    if let rank = options.rank, rank != lora.rank { throw refuse("--lora-r", rank, lora.rank) }
    if let alpha = options.alpha, alpha != lora.alpha { throw refuse("--lora-alpha", alpha, lora.alpha) }
    if let dropout = options.dropout, dropout != lora.dropout { throw refuse("--lora-dropout", dropout, lora.dropout) }
    if let targets = options.targets, targets.sorted() != lora.targets.sorted() {
      throw refuse("--lora-targets", targets.joined(separator: ","), lora.targets.joined(separator: ","))
    }
    if let layers = options.layers, layers != lora.layers ?? [] {
      throw refuse("--lora-layers", "\(layers)", lora.layers.map { "\($0)" } ?? "all")
    }
    if let stabilized = options.rankStabilized, stabilized != lora.rankStabilized {
      throw refuse("--rslora", stabilized, lora.rankStabilized)
    }
  }
}
