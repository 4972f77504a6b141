import Synchronization

/// An option, by the name that users know it by.
///
/// Libraries speak of options by these alone, so that a name that does not exist does not compile, and the program that
/// they are part of says once how its users write them.
public enum OptionName: String, Sendable, CaseIterable, CustomStringConvertible {
  case adapter, betas, blind, checkpoint, columns, config, data, dropout, dtype, engine, epochs, force, format, full,
    include, int16, int8, judge, lr, model, optimizer, overlong, overwrite, prepared, profile, qlora, quant, resume,
    revision, rslora, run, scheduler, seed, shares, steps, stride, temperature, template, tensorboard, text, threads,
    to, tokenizer, val, verify
  case batchSize = "batch-size"
  case batchTokens = "batch-tokens"
  case checkpointLayers = "checkpoint-layers"
  case earlyStopping = "early-stopping"
  case evalEvery = "eval-every"
  case gradAccum = "grad-accum"
  case gradientCheckpointing = "gradient-checkpointing"
  case initAdapter = "init-adapter"
  case judgeModel = "judge-model"
  case keepCheckpoints = "keep-checkpoints"
  case loraAlpha = "lora-alpha"
  case loraDropout = "lora-dropout"
  case loraLayers = "lora-layers"
  case loraR = "lora-r"
  case loraTargets = "lora-targets"
  case lrFrom = "lr-from"
  case lrTo = "lr-to"
  case maxGradNorm = "max-grad-norm"
  case maxLength = "max-length"
  case maxSteps = "max-steps"
  case minLr = "min-lr"
  case minP = "min-p"
  case modelB = "model-b"
  case modulesToSave = "modules-to-save"
  case noMemoryCheck = "no-memory-check"
  case noReport = "no-report"
  case noShuffle = "no-shuffle"
  case numBeams = "num-beams"
  case quantSkip = "quant-skip"
  case saveEvery = "save-every"
  case topK = "top-k"
  case topP = "top-p"
  case trainOn = "train-on"
  case trainTokens = "train-tokens"
  case trunkCache = "trunk-cache"
  case valFile = "val-file"
  case vocabSize = "vocab-size"
  case warmupSteps = "warmup-steps"
  case weightDecay = "weight-decay"

  /// How an option is written in sentences.
  public enum Spelling: Sendable {
    /// `--top-k`, as on a command line.
    case flag
    /// `top_k`, as in a JSON object.
    case member
  }

  private static let chosen = Mutex(Spelling.flag)

  /// Of this process; flags, unless it is said.
  public static var spelling: Spelling {
    get { chosen.withLock { $0 } }
    set { chosen.withLock { $0 = newValue } }
  }

  public var description: String { spelled(Self.spelling) }

  public func spelled(_ spelling: Spelling) -> String {
    switch spelling {
    case .flag: "--" + rawValue
    case .member: rawValue.replacing("-", with: "_")
    }
  }
}
