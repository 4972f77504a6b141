import Core
import JSON
import Training

/// A run's settings for people: the few that tell runs apart, and all of them. Rows are a name and a value.
struct ReportedSettings {
  private let configuration: RunConfiguration
  private var settings: TrainingSettings { configuration.settings }
  private var isFromScratch: Bool { settings.method == .pretrain }

  init(_ configuration: RunConfiguration) { self.configuration = configuration }

  /// What is trained: "LoRA r 16, alpha 16, on all-linear; base in nf4, double quantisation".
  var method: String {
    guard let lora = settings.lora else { return isFromScratch ? "all weights, from random ones" : "all weights" }
    return "\(lora.rankStabilized ? "rsLoRA" : "LoRA") r \(lora.rank), alpha \(Self.number(lora.alpha)), on "
      + lora.targets.joined(separator: ", ")
      + (lora.dropout > 0 ? ", dropout \(Self.number(lora.dropout))" : "")
      + (lora.layers.map { ", layers " + $0.map(String.init).joined(separator: ", ") } ?? "") + lora.moreWords
      + (configuration.quantization.map { "; base in \($0.description)" } ?? "")
  }

  /// Eight rows; `data` is what it is trained on.
  func main(data: String) -> [[String]] {
    [
      ["data", data],
      ["model", configuration.pretrained.map { "from scratch, as \($0.configuration)" } ?? configuration.model],
      ["trained", method],
      ["learning rate", rate],
      [
        "length",
        (configuration.epochs.map { "\(Self.number($0)) \($0 == 1 ? "epoch" : "epochs"), " } ?? "")
          + "\(grouped(settings.steps)) updates",
      ],
      ["batch", batch],
      [
        "optimizer",
        (settings.optimizer == .adamw8bit ? "AdamW with 8-bit moments" : "AdamW")
          + ", weight decay \(Self.number(settings.weightDecay)), gradients "
          + (settings.maxGradientNorm > 0 ? "clipped to norm \(Self.number(settings.maxGradientNorm))" : "not clipped"),
      ],
      [
        isFromScratch ? "windows" : "prompt",
        (isFromScratch ? "" : "template \(configuration.templateName), at most ")
          + "\(grouped(configuration.maxLength)) tokens, seed \(settings.seed)",
      ],
    ]
  }

  private var rate: String {
    let schedule = settings.schedule
    return Self.number(schedule.learningRate)
      + (schedule.kind == .constant
        ? ", constant" : ", \(schedule.kind.rawValue) to \(Self.number(schedule.minimum))")
      + (schedule.warmupSteps > 0 ? ", warm-up over \(grouped(schedule.warmupSteps)) updates" : ", no warm-up")
  }

  private var batch: String {
    let samples = isFromScratch ? "windows" : "records"
    let accumulation = settings.gradientAccumulation
    if let tokens = settings.batchTokens {
      return "\(samples) of \(grouped(tokens)) tokens" + (accumulation > 1 ? " × \(accumulation)" : "")
    }
    return "\(settings.batchSize) \(samples)"
      + (accumulation > 1 ? " × \(accumulation) = \(settings.effectiveBatch)" : "")
  }

  /// 16.0 → "16", 0.00005 → "5e-5".
  static func number(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
    return abs(value) < 1e-3 ? scientific(value) : "\(value)"
  }

  // MARK: - All of them

  /// Everything that a `config.json` holds, in the order of `names`, but for digests and the template's text; what has no
  /// name there comes last, under the file's own.
  static func all(_ configuration: JSONValue) -> [[String]] {
    var values: [(key: String, value: String)] = []
    func add(_ value: JSONValue, _ key: String) {
      switch value {
      case .object(let object):
        for member in object.members where !hidden.contains(key + member.key) {
          add(member.value, key + member.key + (member.value.object == nil ? "" : "."))
        }
      case .array(let elements):
        let texts = elements.map { $0.string ?? $0.serialized }
        values.append((key, texts.isEmpty ? "none" : texts.joined(separator: ", ")))
      default: values.append((key, value.bool.map { $0 ? "yes" : "no" } ?? value.string ?? value.serialized))
      }
    }
    add(configuration, "")
    let known = names.compactMap { key, name in values.first { $0.key == key }.map { [name, $0.value] } }
    let keys = Set(names.map(\.key))
    return known + values.filter { !keys.contains($0.key) }.map { [words($0.key), $0.value] }
  }

  private static let hidden: Set<String> = ["checksum", "baseDigest", "tokenizer", "template"]

  /// "settings.schedule.newThing" → "schedule: new thing".
  private static func words(_ key: String) -> String {
    let path = key.hasPrefix("settings.") ? key.dropFirst("settings.".count) : key[...]
    return path.reduce(into: "") { text, character in
      text += character == "." ? ": " : character.isUppercase ? " " + character.lowercased() : String(character)
    }
  }

  /// The options that a run was given, and what it records besides.
  private static let names: [(key: String, name: String)] =
    [
      ("templateName", "template"), ("layout.kind", "kind of template"),
      ("layout.date", "day that the template writes"),
      ("layout.trainOn", "turns trained on"), ("maxLength", "maximum length in tokens"),
      ("pretrained.files", "text files"), ("pretrained.configuration", "the model's configuration"),
      ("pretrained.tokenizer", "tokenizer"), ("pretrained.vocabularySize", "tokens of the vocabulary"),
      ("pretrained.stride", "tokens from window to window"),
      ("pretrained.validationShare", "share kept for validation"), ("settings.method", "what is trained"),
    ] + RunOption.all.flatMap { $0.shown.map { ($0.key, $0.title) } } + [
      ("linearAlgebra.kernels", "kernels"), ("linearAlgebra.coreType", "OpenBLAS kernels"),
      ("linearAlgebra.replacedCoreType", "OpenBLAS's own choice of them"),
      ("linearAlgebra.threads", "OpenBLAS threads"), ("format", "format of these settings"),
    ]
}
