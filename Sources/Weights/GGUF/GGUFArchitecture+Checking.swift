import Core

extension GGUFArchitecture {
  /// Throws `badData` for the first thing that llama.cpp's graph of this name does otherwise.
  func check(_ configuration: ModelConfiguration) throws {
    try checkShape(configuration)
    try checkBiases(configuration)
    try checkScales(configuration)
    try checkLayers(configuration)
  }

  private func checkShape(_ configuration: ModelConfiguration) throws {
    func require(_ holds: Bool, _ what: @autoclosure () -> String) throws {
      if !holds { throw Self.refusal(what() + " in \(configuration.architecture.rawValue)") }
    }
    try require(configuration.layers <= Self.layerLimit, "\(configuration.layers) layers")
    try require(
      configuration.activation == activation, "the activation \(Self.name(of: configuration.activation))")
    try require(
      !hasStreamWideQueries || configuration.queryWidth == configuration.width,
      "\(configuration.heads) heads of \(configuration.headWidth) dimensions over a stream of \(configuration.width)")
    try require(!mustTieHead || configuration.tiedHead, "a head of its own")
  }

  private static func name(of activation: ModelConfiguration.Activation) -> String {
    switch activation {
    case .geluTanh: "gelu_pytorch_tanh"
    case .gelu: "gelu"
    case .silu: "silu"
    }
  }

  private func checkBiases(_ configuration: ModelConfiguration) throws {
    let biases = [
      (configuration.projectionBiases, projectionBiases, "queries, keys and values"),
      (configuration.attentionOutputBias, attentionOutputBias, "attention's output"),
      (configuration.mlpBiases, mlpBiases, "the MLP"),
    ]
    for (has, reads, what) in biases where has && !reads {
      throw Self.refusal("biases of \(what) in \(configuration.architecture.rawValue)")
    }
  }

  /// Scales that are built into llama.cpp's graphs.
  private func checkScales(_ configuration: ModelConfiguration) throws {
    guard hasCaps == (configuration.scoreCap != nil), hasCaps == (configuration.logitCap != nil) else {
      throw Self.refusal("\(configuration.architecture.rawValue) without caps on scores and on logits")
    }
    guard !readsScales else { return }
    func isNear(_ one: Double, _ other: Double) -> Bool { abs(one - other) <= 1e-6 * abs(other) }
    guard isNear(Double(configuration.attentionScale), attentionScale(configuration)) else {
      throw Self.refusal(
        "attention scores times \(significant(Double(configuration.attentionScale), 6)), where it takes "
          + "\(significant(attentionScale(configuration), 6))")
    }
    let isGemma = name.hasPrefix("gemma")
    let embedding = isGemma ? Double(configuration.width).squareRoot() : 1
    guard isNear(configuration.embeddingScale, embedding), configuration.residualScale == 1,
      configuration.logitScale == 1
    else { throw Self.refusal("scaled embeddings, residuals or logits in \(configuration.architecture.rawValue)") }
  }

  /// 1/√(width of a head), but for the 27B models of Gemma, which it knows by their depth.
  private func attentionScale(_ configuration: ModelConfiguration) -> Double {
    let is27B = name == "gemma2" && configuration.layers == 46 || name == "gemma3" && configuration.layers == 62
    let width = is27B ? configuration.width / configuration.heads : configuration.headWidth
    return 1 / Double(width).squareRoot()
  }

  /// Which layers rotate, and how.
  private func checkLayers(_ configuration: ModelConfiguration) throws {
    if configuration.learnedPositions { return }
    for (index, layer) in configuration.blocks.enumerated() {
      let rotary = layer.rotary
      let expected: Int? =
        switch name {
        case "smollm3": unrotatedInterval.map { (index + 1) % $0 != 0 ? 0 : nil } ?? 0
        case "exaone4": hasWindows && layer.window == nil ? nil : 0
        case "gemma3": rotary == 1 ? 1 : 0
        default: 0
        }
      guard rotary == expected else {
        throw Self.refusal(
          rotary == nil
            ? "layer \(index) of \(configuration.architecture.rawValue) without rotation"
            : "layer \(index) of \(configuration.architecture.rawValue) with rotation")
      }
      guard name != "exaone4" || hasWindows || layer.window == nil else {
        throw Self.refusal("windows in \(configuration.architecture.rawValue) of \(configuration.layers) layers")
      }
    }
    if name == "exaone4", hasWindows, configuration.blocks.allSatisfy({ $0.window == nil }) {
      throw Self.refusal("\(configuration.architecture.rawValue) of \(configuration.layers) layers without windows")
    }
  }

  package var hasWindows: Bool { if case .pattern = windows { true } else { false } }
}
