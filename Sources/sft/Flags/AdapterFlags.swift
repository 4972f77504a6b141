import ArgumentParser
import Pipeline

/// What is trained on which base and data, as an adapter or whole.
struct AdapterFlags: ParsableArguments {
  @OptionGroup(title: "Adapter") var lora: LoRAFlags
  @OptionGroup(title: "4-bit base") var quantization: QuantizationFlags
  @OptionGroup(title: "Base and data") var source: SourceFlags

  /// Throws for a flag of `options` that does not go with --full, where that is given.
  func refuseFlagsOfAdapters(_ options: TrainOptions) throws {
    if source.full, let flag = options.loraFlags.first ?? (quantization.quantized == true ? "--qlora" : nil) {
      throw ValidationError("\(flag) does not go with --full, which trains all weights instead of an adapter.")
    }
  }

  func apply(to options: inout TrainOptions) throws {
    source.apply(to: &options)
    try lora.apply(to: &options)
    options.quantization = quantization.options
  }
}

/// What a training starts from.
struct SourceFlags: ParsableArguments {
  @Option(name: .long, help: .takes("DIR|NAME", "\(modelWords) (default: the prepared data's)."))
  var model: String?

  @Option(
    name: .long, help: .takes("DIR", "A folder that `sft prepare` printed (default: the newest prepared data)."))
  var prepared: String?

  @Flag(
    name: .long,
    help:
      "Train all weights instead of an adapter; the run's weights are then a model folder, and LoRA's flags are errors."
  )
  var full = false

  @Flag(name: .long, help: "Start from an adapter although it was trained on another base.")
  var force = false

  func apply(to options: inout TrainOptions) {
    options.model = model
    options.prepared = prepared
    options.full = full
    options.force = force
  }
}
