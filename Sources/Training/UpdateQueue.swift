import Core
import Dispatch
import Models
import Packing

/// Makes ready what each update computes on: the next one's while this one's is computed with.
///
/// What an update gets is a function of settings and step; when it was made has no part in it.
final class UpdateQueue: @unchecked Sendable {
  struct Update: Sendable {
    /// Numbers of the training records, in the order of the data.
    var records: [Int]
    /// Tokens of the records, each record's counted once, and how many of them are supervised.
    var tokens: Int
    var supervised: Int
    /// The shares that are computed here, in order; a share's gradient is summed over its micro-batches.
    var shares: [Share]

    var batches: [Batch] { shares.flatMap { $0.microBatches.map(\.batch) } }
  }

  struct Share: Sendable {
    var number: Int
    var microBatches: [MicroBatch]
  }

  struct MicroBatch: Sendable {
    /// Among those of the update's shares, all of them.
    var number: Int
    var batch: Batch
    /// What enters the lowest adapted block; nil where the blocks below are computed.
    var trunk: TrunkStream?
  }

  private let settings: TrainingSettings
  private let samples: @Sendable (Int) -> Sample
  private let cost: Packer.Cost
  private let shortLength: Int?
  private let trunk: TrunkOutputs?
  private let ownShares: Range<Int>
  /// Signalled once the next update is ready; until then all that follows is the thread's that makes it.
  private let done = DispatchSemaphore(value: 0)
  private var isBusy = false
  private var order: DataOrder
  private var ready: (step: Int, update: Update)?

  /// Of each update the shares `ownShares` are made ready, or all.
  init(
    _ settings: TrainingSettings, count: Int, for decoder: Decoder, trunk: TrunkOutputs?, ownShares: Range<Int>? = nil,
    samples: @escaping @Sendable (Int) -> Sample
  ) {
    self.ownShares = ownShares ?? 0..<settings.shareCount
    self.settings = settings
    self.samples = samples
    cost = decoder.batchCost
    shortLength = decoder.configuration.shortLength
    self.trunk = trunk
    let lengths = settings.batchTokens == nil ? [] : (0..<count).map { samples($0).tokens.count }
    order = DataOrder(count: count, seed: settings.shuffle ? settings.seed : nil, lengths: lengths)
  }

  /// The 0-based update `step`; the one after it is begun.
  func take(_ step: Int) -> Update {
    if isBusy { done.wait() }
    let update = if let ready, ready.step == step { ready.update } else { prepare(step) }
    // Where there is no thread to be had, the next one is made when it is asked for.
    isBusy =
      step + 1 < settings.steps
      && startThread {
        self.ready = (step + 1, self.prepare(step + 1))
        self.done.signal()
      } == 0
    return update
  }

  private func prepare(_ step: Int) -> Update { update(of: settings.records(of: step, &order)) }

  /// The updates `steps`, made at the same time on several threads.
  fileprivate func batches(_ steps: Range<Int>) -> [Update] {
    let indices = steps.map { settings.records(of: $0, &order) }
    return [Update](unsafeUninitializedCapacity: indices.count) { updates, count in
      nonisolated(unsafe) let places = updates
      parallelFor(indices.count, threads: settings.threads) { number in
        places.initializeElement(at: number, to: update(of: indices[number]))
      }
      count = indices.count
    }
  }

  private func update(of indices: [Int]) -> Update {
    let records = indices.map(samples)
    var (shares, number) = ([Share](), 0)
    for (share, groups) in groups(records).enumerated() {
      if ownShares.contains(share) {
        shares.append(
          Share(
            number: share,
            microBatches: groups.enumerated().map { microBatch(number + $0, $1, of: records, indices) }))
      }
      number += groups.count
    }
    return Update(
      records: indices, tokens: records.reduce(0) { $0 + $1.tokens.count },
      supervised: records.reduce(0) { $0 + $1.supervisedCount }, shares: shares)
  }

  private func microBatch(_ number: Int, _ group: [Int], of records: [Sample], _ indices: [Int]) -> MicroBatch {
    let samples = group.map { records[$0] }
    let batch = Packer.pack(samples, sharesPrefixes: settings.sharesPrefixes, shortLength: shortLength)
    return MicroBatch(
      number: number, batch: batch,
      trunk: trunk.map { $0.stream(batch, samples: samples, records: group.map { indices[$0] }) })
  }

  /// Records of each micro-batch of each share.
  private func groups(_ records: [Sample]) -> [[[Int]]] {
    let shares = Packer.shares(
      records, count: settings.shareCount, sharesPrefixes: settings.sharesPrefixes, cost: cost)
    // As many micro-batches in all, rounded up.
    let count = (settings.gradientAccumulation + shares.count - 1) / shares.count
    return shares.map { share in
      // The plain engine takes one sequence at a time.
      if settings.engine == .plain { return share.map { [$0] } }
      return Packer.microBatches(
        share.map { records[$0] }, count: count, sharesPrefixes: settings.sharesPrefixes, cost: cost,
        joinedRows: settings.joinedRows ?? 0
      ).map { $0.map { share[$0] } }
    }
  }
}

/// Hands `body` the micro-batches of each update of a run, as they will be, with its records' tokens; of a long run those
/// of its first updates, until `tokenLimit` tokens were packed. Gives how many updates were seen.
public func forEachUpdate(
  _ settings: TrainingSettings, count: Int, for decoder: Decoder, tokenLimit: Int,
  samples: @escaping @Sendable (Int) -> Sample, _ body: (_ batches: [Batch], _ tokens: Int) -> Void
) -> Int {
  let queue = UpdateQueue(settings, count: count, for: decoder, trunk: nil, samples: samples)
  // Some at a time, which are not much to keep.
  let (atOnce, kept) = (64, 1 << 20)
  var (step, tokens) = (0, 0)
  while step < settings.steps, tokens < tokenLimit {
    let some = step == 0 ? 1 : max(1, min(atOnce, kept / max(1, tokens / step)))
    let updates = queue.batches(step..<min(step + some, settings.steps))
    for update in updates {
      body(update.batches, update.tokens)
      tokens += update.tokens
    }
    step += updates.count
  }
  return step
}

extension TrainingSettings {
  /// Records of the 0-based update `step`.
  func records(of step: Int, _ order: inout DataOrder) -> [Int] {
    batchTokens.map { order.records(step: step, tokens: $0 * gradientAccumulation) }
      ?? order.records(step: step, batch: effectiveBatch)
  }
}

extension Decoder {
  /// What the head costs for a supervised token, beside what the blocks cost for a row: by their parameters.
  var batchCost: Packer.Cost {
    let blocks = linears.reduce(0) { $0 + $1.inputWidth * $1.outputWidth }
    return Packer.Cost(
      supervisedToken: Double(configuration.vocabularySize * configuration.width) / Double(max(1, blocks)))
  }
}
