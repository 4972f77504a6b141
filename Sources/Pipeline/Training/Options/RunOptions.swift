import Core
import Files
import Models
import Training

/// What `--model` takes.
public let modelWords = """
  Model folder, a GGUF file, a name in the local Hugging Face cache, or embedded: the model inside sft; a folder of that \
  name is ./embedded
  """

/// What a run is of.
extension RunOption {
  public static let model = RunOption(
    .model, "DIR|NAME", "\(modelWords) (default: the prepared data's).", given: \.model, shown: [("model", "model")],
    recorded: { $0.model },
    change: { options, configuration, workspace in
      guard let model = options.model, case let own = try workspace.model(model).recordedName,
        own != configuration.model
      else { return nil }
      return "\(OptionName.model) \(own) (it was \(configuration.model))"
    })

  public static let prepared = RunOption(
    .prepared, "DIR", "A folder that `sft prepare` printed (default: the newest prepared data).", given: \.prepared,
    shown: [("prepared", "prepared data")], recorded: { $0.prepared.description },
    change: { options, configuration, workspace in
      guard let prepared = options.prepared, try workspace.preparedReference(prepared) != configuration.prepared else {
        return nil
      }
      return "\(OptionName.prepared) \(prepared)"
    })

  public static let full = RunOption(
    .full, nil,
    "Train all weights instead of an adapter; the run's weights are then a model folder, and LoRA's flags are errors.",
    given: \.givenFull, recorded: { $0.settings.method == .full },
    change: { options, configuration, _ in
      options.full && configuration.settings.lora != nil ? "\(OptionName.full) (it trains an adapter)" : nil
    })

  public static let force = RunOption(
    .force, nil, "Start from an adapter although it was trained on another base.", unrecorded: \.givenForce)

  static let ofSource = [model, prepared, full, force]
}

/// The adapter that is trained.
extension RunOption {
  public static let rank = RunOption(
    .loraR, "N", "Rank (default: 16).", given: \.rank, isAdapters: true, role: .update,
    shown: [("settings.lora.rank", "LoRA r")], recorded: { $0.settings.lora?.rank })

  public static let alpha = RunOption(
    .loraAlpha, "X", "Alpha (default: 16).", given: \.alpha, isAdapters: true, role: .update,
    shown: [("settings.lora.alpha", "LoRA alpha")], recorded: { $0.settings.lora?.alpha })

  public static let dropout = RunOption(
    .loraDropout, "P", "Dropout before A (default: 0).", given: \.dropout, isAdapters: true, role: .update,
    shown: [("settings.lora.dropout", "LoRA dropout")], recorded: { $0.settings.lora?.dropout })

  public static let targets = RunOption(
    .loraTargets, "NAMES",
    "all-linear, or module names: q_proj,v_proj,… (default: all-linear, whatever PEFT's default for the model is).",
    given: \.targets, isAdapters: true, role: .update, shown: [("settings.lora.targets", "LoRA on")],
    recorded: { $0.settings.lora?.targets })

  public static let layers = RunOption(
    .loraLayers, "LIST", "Layers to adapt: 8-11, or 0,2,4 (default: all).", given: \.layers, isAdapters: true,
    role: .update, shown: [("settings.lora.layers", "LoRA in layers")],
    recorded: { $0.settings.lora.map { $0.layers ?? [] } })

  public static let rankStabilized = RunOption(
    .rslora, nil, "Scale by alpha/√r instead of alpha/r.", given: \.rankStabilized, isAdapters: true, role: .update,
    shown: [("settings.lora.rankStabilized", "LoRA scaled by the root of r")],
    recorded: { $0.settings.lora?.rankStabilized })

  public static let initialAdapter = RunOption(
    .initAdapter, "DIR", "Start from this adapter folder; it brings its own r, alpha and targets.",
    given: \.initialAdapter, isAdapters: true, role: .update,
    shown: [("settings.initialAdapter", "started from the adapter")], recorded: { $0.settings.initialAdapter },
    change: { options, configuration, _ in
      guard let folder = options.initialAdapter,
        try Digest(ofFile: folder + "/" + AdapterFolder.weightsFile).hex != configuration.settings.initialAdapter
      else { return nil }
      return "\(OptionName.initAdapter) \(folder)"
    })

  public static let trainedTokens = RunOption(
    .trainTokens, "TOKENS",
    """
    Train the rows of tokens in embedding and head too, as PEFT's trainable_token_indices: auto, or no value, for the \
    special tokens that the data's chat template writes; else tokens with commas between, auto among them or not \
    (default: none).
    """, given: \.trainedTokens, isAdapters: true, role: .update,
    shown: [("trainedTokens", "tokens trained, as asked for"), ("settings.lora.tokens", "token rows trained")],
    recorded: { $0.settings.lora == nil ? nil : $0.trainedTokens ?? [] })

  public static let savedModules = RunOption(
    .modulesToSave, "NAMES",
    """
    Train these modules whole beside the adapter and store them with it, as PEFT does: embed_tokens,lm_head, or the \
    final norm (model.norm). Where embedding and head are one matrix, each named becomes its own (default: none).
    """, given: \.savedModules, isAdapters: true, role: .update,
    shown: [("settings.lora.savedModules", "modules trained whole")],
    recorded: { $0.settings.lora.map { $0.savedModules ?? [] } })

  public static let trunkCache = RunOption(
    .trunkCache, "GB",
    """
    GB on the disk for the outputs of the frozen layers below \(OptionName.loraLayers), computed once and read in later \
    epochs; 0 for none (default: a quarter of the free space, and none below 1.5 epochs).
    """, given: \.trunkCache, isAdapters: true,
    shown: [("settings.trunkLayer", "first block computed, below it stored")], recorded: { $0.settings.trunkLayer },
    change: { options, configuration, _ in
      guard let limit = options.trunkCache, (limit > 0) != (configuration.settings.trunkLayer != nil) else {
        return nil
      }
      return "\(OptionName.trunkCache) (it was \(configuration.settings.trunkLayer == nil ? "not " : "")used)"
    })

  public static let quantized = RunOption(
    .qlora, nil, "Quantise the base's linears to 4 bits; they stay frozen (default: as the run has it).",
    given: \.givenQuantization, isAdapters: true, role: .update, parameter: "quantization",
    shown: [
      ("quantization.settings.kind", "base quantised to"),
      ("quantization.settings.doubleQuantization", "double quantisation"),
      ("quantization.skip", "linears left in full precision"),
    ], recorded: { $0.quantization?.description ?? "none" },
    change: { options, configuration, _ in
      guard let quantization = options.quantization, quantization != configuration.quantization else { return nil }
      return "\(OptionName.qlora) \(quantization.description) (it was "
        + "\(configuration.quantization?.description ?? "not"))"
    })

  static let ofAdapter = [
    rank, alpha, dropout, targets, layers, rankStabilized, initialAdapter, trainedTokens, savedModules, trunkCache,
    quantized,
  ]
}
