import ArgumentParser
import Pipeline

/// What is trained on which base and data, as an adapter or whole.
struct AdapterFlags: ParsableArguments {
  @OptionGroup(title: "Adapter") var lora: LoRAFlags
  @OptionGroup(title: "4-bit base") var quantization: QuantizationFlags
  @OptionGroup(title: "Base and data") var source: SourceFlags

  func apply(to options: inout TrainOptions) throws {
    source.apply(to: &options)
    try lora.apply(to: &options)
    options.quantization = quantization.options
  }
}

/// What a training starts from.
struct SourceFlags: ParsableArguments {
  @Option(.model) var model: String?

  @Option(.prepared) var prepared: String?

  @Flag(.full) var full = false

  @Flag(.force) var force = false

  func apply(to options: inout TrainOptions) {
    options.model = model
    options.prepared = prepared
    options.full = full
    options.force = force
  }
}
