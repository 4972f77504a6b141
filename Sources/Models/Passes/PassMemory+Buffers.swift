import Kernels

extension PassMemory {
  /// Floats that were asked for of all buffers that are there but the panels'. For tests of what was worked out beforehand.
  package var requested: Int {
    let own =
      [output, dropped, gathered.input, gathered.bottleneck, gathered.output] + bottleneckGradients + angles
      + scratch.all + head.buffers + kept
    let distinct = Dictionary(own.map { (ObjectIdentifier($0), $0) }) { first, _ in first }
    return distinct.values.reduce(0) { $0 + $1.requested }
  }
}

extension Block.Scratch {
  fileprivate var all: [FloatBuffer] { large + [attention, dropped, branchGradient] }
}

extension Block.Activations {
  var all: [FloatBuffer] {
    [
      input, middle, mlpInner, bottlenecks, attention.queriesKeysValues, attention.projected,
      attention.queryDeviations, attention.keyDeviations, attention.logSumExp, attentionBranch.inputStatistics,
      attentionBranch.outputStatistics, attentionBranch.output, mlpBranch.inputStatistics, mlpBranch.outputStatistics,
      mlpBranch.output,
    ] + [attention.attended].compactMap(\.self)
  }
}
