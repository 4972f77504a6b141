import Kernels

extension Block.Activations {
  /// What is kept of a block between the ways forward and back. `adapted` are the places of its linears that have an adapter.
  static func needs(_ n: BlockRows, _ block: Block, rank: Int, adapted: Int? = nil) -> [BufferNeed<Block.Activations>] {
    let (width, attention) = (block.width, block.attention)
    var needs: [BufferNeed<Block.Activations>] = [
      BufferNeed(n.rows * width) { $0.input }, BufferNeed(n.outputs * width) { $0.middle },
      BufferNeed(n.rows * attention.columns, touched: touchedProjections(n, attention)) {
        $0.attention.queriesKeysValues
      },
      BufferNeed(n.outputs * attention.kernel.heads) { $0.attention.logSumExp },
      BufferNeed(n.outputs * attention.output.inputWidth) { $0.attention.attended },
      BufferNeed(n.outputs * block.mlp.input.outputWidth) { $0.mlpInner },
      BufferNeed(n.rows * rank * block.linears.count, touched: n.rows * rank * (adapted ?? block.linears.count)) {
        $0.bottlenecks
      },
    ]
    if let queryNorm = attention.queryNorm, let keyNorm = attention.keyNorm {
      needs += [
        BufferNeed(n.rows * attention.valueOffset) { $0.attention.projected },
        BufferNeed(n.rows * queryNorm.norm.groups) { $0.attention.queryDeviations },
        BufferNeed(n.rows * keyNorm.norm.groups) { $0.attention.keyDeviations },
      ]
    }
    needs += Branch.Activations.needs(n, width: width, block.attentionBranch) { $0.attentionBranch }
    return needs
      + Branch.Activations.needs(
        BlockRows(rows: n.outputs, outputs: n.outputs), width: width, block.mlpBranch
      ) { $0.mlpBranch }
  }

  /// Rows that are not wanted have no queries: pages that hold nothing else are not touched.
  private static func touchedProjections(_ n: BlockRows, _ attention: AttentionLayer) -> Int {
    let page = 1024
    let spared = attention.queryNorm == nil ? max(0, attention.keyOffset / page - 1) * page : 0
    return n.rows * attention.columns - (n.rows - n.outputs) * spared
  }
}

extension Branch.Activations {
  fileprivate static func needs(
    _ n: BlockRows, width: Int, _ branch: Branch, _ own: @escaping (Block.Activations) -> Branch.Activations
  ) -> [BufferNeed<Block.Activations>] {
    var needs: [BufferNeed<Block.Activations>] = []
    if branch.inputNorm != nil {
      needs.append(BufferNeed(n.rows * Norm.statisticsWidth) { own($0).inputStatistics })
    }
    if branch.outputNorm != nil {
      needs.append(BufferNeed(n.outputs * Norm.statisticsWidth) { own($0).outputStatistics })
      needs.append(BufferNeed(n.outputs * width) { own($0).output })
    }
    return needs
  }
}

extension Block.Scratch {
  /// What a block takes of the scratch buffers in the forward pass.
  static func needs(
    forward n: BlockRows, _ block: Block, keepsAttention: Bool, dropsStream: Bool, _ compute: Compute
  ) -> [BufferNeed<Block.Scratch>] {
    let (width, attention) = (block.width, block.attention)
    let addsInPlace = block.attentionBranch.addsInPlace(dropsStream: dropsStream)
    let entersNormed = block.attentionBranch.inputNorm != nil
    return [
      BufferNeed(max(entersNormed ? n.rows : 0, n.outputs < n.rows || entersNormed ? n.outputs : 0) * width) {
        $0.normed
      },
      BufferNeed(keepsAttention ? 0 : n.outputs * attention.output.inputWidth) { $0.attended },
      BufferNeed(n.outputs * block.mlp.output.inputWidth) { $0.activated },
      BufferNeed(attention.kernel.scratchCount(compute)) { $0.attention },
      BufferNeed(addsInPlace ? 0 : n.outputs * width) { $0.dropped },
    ]
  }

  /// What a block takes of the scratch buffers in the backward pass.
  static func needs(
    backward n: BlockRows, _ block: Block, keepsAttention: Bool, dropsStream: Bool, _ compute: Compute
  ) -> [BufferNeed<Block.Scratch>] {
    let (width, attention) = (block.width, block.attention)
    let addsInPlace = block.attentionBranch.addsInPlace(dropsStream: dropsStream)
    let needsUpstream = dropsStream || block.attentionBranch.scale != 1
    return [
      BufferNeed(n.rows * width) { $0.normed },
      BufferNeed(keepsAttention ? 0 : n.outputs * attention.output.inputWidth) { $0.attended },
      BufferNeed(n.outputs * block.mlp.output.inputWidth) { $0.activated },
      BufferNeed(attention.kernel.backwardScratchCount(rows: n.rows, compute)) { $0.attention },
      BufferNeed(n.outputs * attention.output.inputWidth) { $0.attendedGradient },
      BufferNeed(n.rows * attention.columns) { $0.queriesKeysValuesGradient },
      BufferNeed(block.mlp.isGated ? 2 * n.outputs * block.mlp.output.inputWidth : 0) { $0.gatedGradient },
      BufferNeed(needsUpstream && !addsInPlace ? n.outputs * width : 0) { $0.dropped },
      BufferNeed(block.attentionBranch.outputNorm == nil ? 0 : n.outputs * width) { $0.branchGradient },
    ]
  }
}
