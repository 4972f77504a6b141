import Core
import Models
import Training
import Weights

/// What an update computes on average, in units that a machine's rates count.
struct WorkEstimate {
  private(set) var units: [MachineRates.Operation: Double] = [:]
  /// Of a micro-batch, which rates depend on.
  private let rows: Double
  private let supervised: Double

  init(
    _ settings: TrainingSettings, _ decoder: Decoder, _ checkpoint: ModelCheckpoint?, _ adapter: Adapter?,
    _ forecast: RunForecast, isQuantized: Bool, usesPanels: Bool
  ) {
    let configuration = decoder.configuration
    rows = forecast.rows / max(1, forecast.batches)
    supervised = forecast.supervised / max(1, forecast.batches)
    let (lowest, last) = (adapter?.lowestLayer ?? 0, configuration.layers - 1)
    let rank = Double(adapter?.configuration.rank ?? 0)
    let recomputed = settings.recomputedBlocks(of: configuration.layers)
    let blocks = Self.kept(
      checkpoint, decoder.linears.first.map(\.weightName), isQuantized: isQuantized, usesPanels: usesPanels,
      isTrained: adapter == nil)
    for (index, linear) in decoder.linears.enumerated() where linear.layer >= settings.trunkLayer ?? 0 {
      // Rows that nobody wants need keys and values only in the last block.
      let isShort = linear.layer == last && ![.key, .value, .queryKeyValue].contains(linear.kind)
      let n = isShort ? forecast.supervised : forecast.rows
      let (inputs, outputs) = (Double(linear.inputWidth), Double(linear.outputWidth))
      let isAdapted = adapter?.pair(of: index) != nil
      let again = linear.layer < min(recomputed, last) && linear.layer >= lowest
      let ways = again && linear.kind != .mlpOutput ? 2.0 : 1
      add(blocks.forward, ways * 2 * n * inputs * outputs)
      if isAdapted { add(.thin, ways * 2 * n * rank * (inputs + outputs)) }
      guard linear.layer >= lowest else { continue }
      let isFirst = linear.layer == lowest && [.query, .key, .value, .queryKeyValue].contains(linear.kind)
      if !isFirst || adapter == nil { add(blocks.backward, 2 * n * inputs * outputs) }
      if isAdapted { add(.thin, 2 * n * rank * (2 * outputs + (isFirst ? 1 : 2) * inputs)) }
      if adapter == nil { add(.weightGradients, 2 * n * inputs * outputs) }
    }
    addHead(settings, configuration, checkpoint, forecast, usesPanels: usesPanels, isTrained: adapter == nil)
    addRest(settings, decoder, adapter, forecast, isQuantized: isQuantized)
  }

  private mutating func addHead(
    _ settings: TrainingSettings, _ configuration: ModelConfiguration, _ checkpoint: ModelCheckpoint?,
    _ forecast: RunForecast, usesPanels: Bool, isTrained: Bool
  ) {
    let flop = 2 * forecast.supervised * Double(configuration.width * configuration.vocabularySize)
    let name = configuration.tiedHead ? configuration.embedding.name : configuration.headName
    let head = Self.kept(checkpoint, name, isQuantized: false, usesPanels: usesPanels, isTrained: isTrained)
    add(head.forward, flop)
    add(head.backward, flop)
    if isTrained { add(.weightGradients, flop) }
    // The softmax and its gradient.
    add(.activation, forecast.supervised * Double(configuration.vocabularySize))
  }

  /// Attention, what is done float by float, and the optimiser.
  private mutating func addRest(
    _ settings: TrainingSettings, _ decoder: Decoder, _ adapter: Adapter?, _ forecast: RunForecast, isQuantized: Bool
  ) {
    let configuration = decoder.configuration
    let layers = Double(configuration.layers - (settings.trunkLayer ?? 0))
    let back = Double(configuration.layers - (adapter?.lowestLayer ?? 0))
    let recomputed = settings.recomputedBlocks(of: configuration.layers)
    let again = max(0, Double(recomputed - (adapter?.lowestLayer ?? 0)))
    let attention = forecast.pairs * Double(configuration.heads * configuration.headWidth)
    let attendsAgain = isQuantized && adapter != nil ? back - again : 0
    add(.attentionForward, 4 * attention * (layers + again + attendsAgain))
    add(.attentionBackward, 10 * attention * back)
    let (width, inner) = (Double(configuration.width), Double(configuration.mlpWidth))
    add(.activation, forecast.rows * inner * (layers + again))
    // Norms, rotations and sums of the stream and of queries and keys, each way.
    add(.addition, forecast.rows * width * (6 * layers + 6 * again + 10 * back))
    let trained = adapter?.count ?? TrainableWeights.tensors(of: configuration).reduce(0) { $0 + $1.count }
    // Eight bits are decoded and encoded again; the gradients are cleared and their norm is taken.
    add(.optimizer, Double(trained) * (settings.optimizer == .adamw ? 1.5 : 4))
  }

  private mutating func add(_ operation: MachineRates.Operation, _ more: Double) {
    units[operation, default: 0] += more
  }

  private static func kept(
    _ checkpoint: ModelCheckpoint?, _ name: String?, isQuantized: Bool, usesPanels: Bool, isTrained: Bool
  ) -> (forward: MachineRates.Operation, backward: MachineRates.Operation) {
    if isTrained { return (.storedForward, .storedBackward) }
    if isQuantized { return (.fourBitForward, .fourBitBackward) }
    let info = name.flatMap { try? checkpoint?.info($0) }
    // Blocks are the nearest to 4 bits.
    if info?.isInBlocks == true { return (.fourBitForward, .fourBitBackward) }
    let dtype = info?.dtype
    return dtype == .bf16 || dtype == .f16
      ? (.halfForward, .halfBackward)
      : usesPanels ? (.packedForward, .packedBackward) : (.storedForward, .storedBackward)
  }

  /// Seconds of an update at a machine's rates.
  func seconds(_ rates: MachineRates) -> Double {
    units.reduce(0) { $0 + $1.value / rates.rate($1.key, rows: rows) }
  }
}
