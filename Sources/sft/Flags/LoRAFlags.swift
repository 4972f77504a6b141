import ArgumentParser
import Core
import Pipeline

/// The adapter that is trained.
struct LoRAFlags: ParsableArguments {
  @Option(.rank) var rank: Int?

  @Option(.alpha) var alpha: Double?

  @Option(.dropout) var dropout: Double?

  @Option(.targets) var targets: String?

  @Option(.layers) var layers: String?

  @Flag(.rankStabilized) var rankStabilized = false

  @Option(.initialAdapter) var initialAdapter: String?

  @Option(.trainedTokens) var trainedTokens: String?

  @Option(.savedModules) var savedModules: String?

  func validate() throws {
    for (option, value) in [(OptionName.trainTokens, trainedTokens), (.modulesToSave, savedModules)] {
      if let value, list(value).isEmpty { throw ValidationError("\(option) names nothing.") }
    }
  }

  private func list(_ names: String) -> [String] { names.split(separator: ",").map(String.init) }

  /// "8-11", "3", "0,2,5-7".
  private func parsedLayers() throws -> [Int]? {
    guard let layers else { return nil }
    var numbers = Set<Int>()
    for part in layers.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0,
        first <= last, last < 100_000
      else { throw ValidationError("\(OptionName.loraLayers) takes layers such as 8-11 or 0,2,4.") }
      numbers.formUnion(first...last)
    }
    return numbers.sorted()
  }

  func apply(to options: inout TrainOptions) throws {
    options.rank = rank
    options.alpha = alpha
    options.dropout = dropout
    options.targets = targets.map(list)
    options.layers = try parsedLayers()
    options.rankStabilized = rankStabilized ? true : nil
    options.initialAdapter = initialAdapter
    options.trainedTokens = trainedTokens.map(list)
    options.savedModules = savedModules.map(list)
  }
}
