import Core
import Files
import Models
import Tokenizing
import Training
import Weights

extension ModelCheckpoint {
  /// Throws `usage` where the weights themselves cannot be trained: in 4 bits, and in a GGUF file.
  func refuseTraining() throws {
    guard quantizedNames.isEmpty else {
      throw SFTError(
        .usage, "the model is stored in 4 bits, which \(OptionName.full) cannot train", file: folder,
        advice: "Give \(OptionName.model) the folder that it was quantised from, or train an adapter")
    }
    guard !isGGUF else {
      throw SFTError(
        .usage,
        "the model is a GGUF file, which \(OptionName.full) cannot train: what it writes is a folder like the base's",
        file: folder, advice: "Give \(OptionName.model) the folder that it was converted from, or train an adapter")
    }
  }
}

/// What a run trains.
extension TrainRun {
  /// The base's weights, to be trained themselves. Throws `usage` where they are stored in 4 bits or in a GGUF file.
  func trainable(_ base: BaseModel) throws -> TrainableWeights {
    try base.checkpoint.refuseTraining()
    return try TrainableWeights(base.checkpoint)
  }

  /// What is trained, as it is at the start; the adapter's configuration, and the digest of the one that it starts from.
  func newParameters(
    _ base: BaseModel, _ data: PreparedData
  ) throws -> (lora: LoRAConfiguration?, initial: String?, trained: TrainedParameters) {
    if options.full { return (nil, nil, .weights(try trainable(base))) }
    if let folder = options.initialAdapter {
      let adapter = try base.adapter(folder, force: options.force) { event(.note($0)) }
      let lora = adapter.configuration
      try refuseConflicts(with: lora, folder)
      try warnOfTokens(lora, base, data)
      event(.note("Starting from the adapter \(folder): r \(lora.rank), alpha \(lora.alpha)."))
      return (lora, try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex, .adapter(adapter))
    }
    let lora = try askedLoRA(data, base.folder, base.tokenizer, base.decoder.configuration)
    try warnOfTokens(lora, base, data)
    return (lora, nil, .adapter(try freshAdapter(lora, options.seed ?? TrainOptions.standardSeed, base)))
  }

  /// The adapter that the options ask for, on a model in `folder`. Throws `usage` for tokens that there are not.
  func askedLoRA(
    _ data: PreparedData, _ folder: String, _ tokenizer: Tokenizer, _ model: ModelConfiguration
  ) throws -> LoRAConfiguration {
    LoRAConfiguration(
      rank: options.rank ?? 16, alpha: options.alpha ?? 16, dropout: options.dropout ?? 0,
      rankStabilized: options.rankStabilized ?? false, targets: options.targets ?? [LoRAConfiguration.allLinear],
      layers: options.layers,
      tokens: try options.trainedTokens.map {
        TrainedTokens.all(try tokens(of: data, folder, tokenizer).ids($0), of: model)
      }, savedModules: options.savedModules)
  }

  /// What the run `name`, whose settings are those of another run, trains, as it is at the start. Throws `usage` where the
  /// adapter to start from is not given, and `badData` where it is another one.
  func newParameters(
    _ settings: TrainingSettings, _ name: String, _ base: BaseModel, _ data: PreparedData
  ) throws -> TrainedParameters {
    guard let lora = settings.lora else { return .weights(try trainable(base)) }
    if settings.initialAdapter == nil { return .adapter(try freshAdapter(lora, settings.seed, base)) }
    guard options.initialAdapter != nil else {
      throw SFTError(
        .usage, "run \(name) is to start from another adapter, as the others did",
        advice: "Give that again with \(OptionName.initAdapter)")
    }
    let (_, initial, trained) = try newParameters(base, data)
    guard initial == settings.initialAdapter else {
      throw SFTError(
        .badData, "the adapter to start from is not the one that the other runs started from",
        file: options.initialAdapter)
    }
    return trained
  }

  func freshAdapter(_ lora: LoRAConfiguration, _ seed: UInt64, _ base: BaseModel) throws -> Adapter {
    let adapter = try Adapter(lora, for: base.decoder)
    adapter.initialize(seed: seed)
    return adapter
  }

  private func tokens(of data: PreparedData, _ folder: String, _ tokenizer: Tokenizer) throws -> TemplateTokens {
    TemplateTokens(layout: try RecordLayout(data.summary, folder: folder), tokenizer: tokenizer)
  }

  /// Says what happens to tokens that the base may never have learnt, and what an adapter does to a tied head.
  private func warnOfTokens(_ lora: LoRAConfiguration, _ base: BaseModel, _ data: PreparedData) throws {
    let model = base.decoder.configuration
    let saved = try (lora.savedModules ?? []).map { try model.end(named: $0) }
    if lora.tokens == nil, !saved.contains(.embedding),
      let warning = try tokens(of: data, base.folder, base.tokenizer).warning(folder: base.folder)
    {
      event(.note("warning     \(warning)."))
    }
    if model.tiedHead, saved.contains(where: { $0 != .finalNorm }) {
      event(
        .note(
          "warning     \(model.moduleName(of: .embedding)) and \(model.moduleName(of: .head)) are one matrix in this model. "
            + "As in PEFT, what \(OptionName.modulesToSave) names of them becomes a matrix of its own."))
    }
  }

  private func refuseConflicts(with lora: LoRAConfiguration, _ folder: String) throws {
    func refuse(_ flag: String, _ own: some CustomStringConvertible, _ its: some CustomStringConvertible) -> SFTError {
      SFTError(
        .usage, "\(flag) is \(own), but the adapter to start from has \(its)", file: folder,
        advice: "Leave \(flag) out: an adapter brings its own")
    }
    if let rank = options.rank, rank != lora.rank { throw refuse(OptionName.loraR.description, rank, lora.rank) }
    if let alpha = options.alpha, alpha != lora.alpha {
      throw refuse(OptionName.loraAlpha.description, alpha, lora.alpha)
    }
    if let dropout = options.dropout, dropout != lora.dropout {
      throw refuse(OptionName.loraDropout.description, dropout, lora.dropout)
    }
    if let targets = options.targets, targets.sorted() != lora.targets.sorted() {
      throw refuse(
        OptionName.loraTargets.description, targets.joined(separator: ","), lora.targets.joined(separator: ","))
    }
    if let layers = options.layers, layers != lora.layers ?? [] {
      throw refuse(OptionName.loraLayers.description, "\(layers)", lora.layers.map { "\($0)" } ?? "all")
    }
    if let tokens = options.trainedTokens {
      throw refuse(
        OptionName.trainTokens.description, tokens.joined(separator: ","), lora.tokens == nil ? "none" : "its own")
    }
    if let modules = options.savedModules, modules.sorted() != (lora.savedModules ?? []).sorted() {
      throw refuse(
        OptionName.modulesToSave.description, modules.joined(separator: ","),
        lora.savedModules?.joined(separator: ",") ?? "none")
    }
    if let stabilized = options.rankStabilized, stabilized != lora.rankStabilized {
      throw refuse(OptionName.rslora.description, stabilized, lora.rankStabilized)
    }
  }
}
