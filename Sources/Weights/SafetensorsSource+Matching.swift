import Core

extension SafetensorsSource {
  /// Finds every expected tensor among the stored ones, checks shapes and dtypes, and refuses what is left over.
  static func match(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (names: [String: String], quantized: Set<String>, ignored: [String]) {
    var (stored, ignored) = try canonicalNames(configuration, weights)
    let quantized = configuration.quantizationMethod == nil ? [] : takeStatistics(from: &stored, configuration)
    if configuration.tiedHead, let head = stored.removeValue(forKey: configuration.headName) {
      // transformers ties it whatever the file holds, so its values do not matter; its shape tells a wrong file.
      try check(TensorSpecification(.head, configuration.headName, configuration.embedding.shape), head, weights)
      ignored.append(head)
    }
    let expected = configuration.expectedTensors
    let missing = expected.filter { stored[$0.name] == nil }.map(\.name)
    let unexpected = Set(stored.keys).subtracting(expected.map(\.name)).compactMap { stored[$0] }.sorted()
    guard missing.isEmpty else {
      let extra = unexpected.isEmpty ? "" : "; not expected: \(listed(unexpected))"
      throw SFTError(
        .badData, "the weights lack \(missing.count) of \(expected.count) tensors: \(listed(missing))\(extra)",
        file: weights.folder)
    }
    guard unexpected.isEmpty else {
      throw SFTError(
        .badData,
        "the weights have \(counted(unexpected.count)) that a \(configuration.architecture.rawValue) of this "
          + "configuration does not: \(listed(unexpected))", file: weights.folder)
    }
    for tensor in expected where !quantized.contains(tensor.name) {
      if let name = stored[tensor.name] { try check(tensor, name, weights) }
    }
    return (stored, quantized, ignored.sorted())
  }

  /// Removes what belongs to weights in 4 bits from the names, and returns those weights. Only matrices of the blocks can
  /// be among them; what is in their statistics is checked by who reads them.
  private static func takeStatistics(
    from stored: inout [String: String], _ configuration: ModelConfiguration
  ) -> Set<String> {
    let matrices = configuration.expectedTensors.filter(\.role.isBlockMatrix)
    var quantized: Set<String> = []
    for matrix in matrices where stored.keys.contains(where: { $0.hasPrefix(matrix.name + ".quant_state.") }) {
      quantized.insert(matrix.name)
      for name in stored.keys where name.hasPrefix(matrix.name + ".") { stored[name] = nil }
    }
    return quantized
  }

  /// Canonical name → stored name, and the names of what is ignored.
  private static func canonicalNames(
    _ configuration: ModelConfiguration, _ weights: WeightFiles
  ) throws -> (stored: [String: String], buffers: [String]) {
    var stored: [String: String] = [:]
    var buffers: [String] = []
    for name in weights.names {
      switch configuration.storedName(name) {
      case .buffer, .otherPart: buffers.append(name)
      case .tensor(let canonical):
        if let other = stored.updateValue(name, forKey: canonical) {
          throw SFTError(
            .badData, "tensors \(quoted(other)) and \(quoted(name)) are the same one in two layouts",
            file: weights.folder)
        }
      }
    }
    return (stored, buffers)
  }

  /// Shape and dtype of a stored tensor against what the configuration says.
  private static func check(_ expected: TensorSpecification, _ stored: String, _ weights: WeightFiles) throws {
    guard let info = weights.info(stored) else { return }
    guard info.shape == expected.shape else {
      throw SFTError(
        .badData, "tensor \(quoted(stored)): config.json gives it shape \(expected.shape), found \(info.shape)",
        file: try weights.path(of: stored))
    }
    guard info.dtype.isReadableAsFloat else {
      throw SFTError(
        .badData, "tensor \(quoted(stored)): expected F32, F16, BF16 or F64, found \(info.dtype.rawValue)",
        file: try weights.path(of: stored))
    }
  }
}
