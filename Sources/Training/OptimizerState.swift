import Core
import Kernels
import Models

/// AdamW's moments of every trained parameter, which lie in one flat memory.
///
/// `adamw` has one pair of float32 moments over all of it, or one a tensor where some tensors are not decayed. `adamw8bit`
/// has a state for each tensor, as `bitsandbytes.optim.AdamW8bit` has: codes and absmax, or float32 moments for a tensor
/// of fewer than 4,096 elements.
public final class OptimizerState {
  private enum Moments {
    case full(m: FloatBuffer, v: FloatBuffer)
    case eightBit(AdamWStep.EightBitMoments)
  }

  /// The moments of some of the parameters, which lie together.
  private struct Part {
    /// What their names in a file start with, and their shape there.
    var name: String
    var shape: [Int]
    var offset: Int
    var count: Int
    var decays: Bool
    var moments: Moments
  }

  /// What one thread does at a time: blocks of a part in 8 bits, or elements of another.
  private struct Chunk {
    var part: Int
    var range: Range<Int>
  }

  /// Blocks and elements of a chunk: the same size.
  private static let chunkBlocks = 128
  private static let chunkElements = 1 << 15

  package let kind: Optimizer
  /// How many parameters there are.
  package let count: Int
  private let parts: [Part]
  private let chunks: [Chunk]

  /// Zeros. `tensors` lie one after the other.
  package init(_ kind: Optimizer, _ tensors: [ParameterTensor], decaysMatricesOnly: Bool = false) {
    self.kind = kind
    count = tensors.reduce(0) { $0 + $1.count }
    let parts =
      kind == .adamw && !decaysMatricesOnly
      ? [Self.whole(count)] : tensors.map { Self.part($0, kind, decays: !decaysMatricesOnly || $0.shape.count > 1) }
    self.parts = parts
    chunks = parts.indices.flatMap { part -> [Chunk] in
      let (count, step) =
        if case .eightBit(let moments) = parts[part].moments {
          (moments.blocks, Self.chunkBlocks)
        } else {
          (parts[part].count, Self.chunkElements)
        }
      return stride(from: 0, to: count, by: step).map { Chunk(part: part, range: $0..<min($0 + step, count)) }
    }
  }

  /// Bytes that the moments of these tensors take, in memory and in a file.
  public static func bytes(_ kind: Optimizer, _ tensors: [ParameterTensor]) -> Int {
    tensors.reduce(0) { sum, tensor in
      let isWhole = kind == .adamw || tensor.count < AdamWStep.EightBitMoments.smallestTensor
      return sum + (isWhole ? 2 * tensor.count * 4 : AdamWStep.EightBitMoments.bytes(count: tensor.count))
    }
  }

  private static func whole(_ count: Int) -> Part {
    Part(name: "", shape: [count], offset: 0, count: count, decays: true, moments: full(count))
  }

  /// A tensor's, in 8 bits where that is asked for and it is large enough.
  private static func part(_ tensor: ParameterTensor, _ kind: Optimizer, decays: Bool) -> Part {
    let isSmall = tensor.count < AdamWStep.EightBitMoments.smallestTensor
    return Part(
      name: tensor.name + ".", shape: tensor.shape, offset: tensor.offset, count: tensor.count, decays: decays,
      moments: kind == .adamw || isSmall
        ? full(tensor.count) : .eightBit(AdamWStep.EightBitMoments(count: tensor.count)))
  }

  private static func full(_ count: Int) -> Moments {
    let (m, v) = (FloatBuffer(count), FloatBuffer(count))
    m.useLargePages()
    v.useLargePages()
    return .full(m: m, v: v)
  }

  /// Clips the gradients to `settings.maxGradientNorm` as `torch.nn.utils.clip_grad_norm_` does, and updates the
  /// parameters; `count` of both. `step` is 1-based. Returns the norm before clipping; does nothing but that where it is
  /// not finite.
  package func update(
    _ parameters: MutableFloats, gradients: Floats, settings: TrainingSettings, learningRate: Double, step: Int,
    _ compute: Compute
  ) -> Double {
    let norm = Elementwise.sumOfSquares(gradients, count: count, compute).squareRoot()
    guard norm.isFinite else { return norm }
    update(
      parameters, gradients: gradients, norm: norm, settings: settings, learningRate: learningRate, step: step, compute)
    return norm
  }

  /// Clips the gradients and updates the parameters, `count` of both. `norm` is the gradients', finite, and `step` is
  /// 1-based. With `chunks` only the parameters of those and their moments are updated.
  package func update(
    _ parameters: MutableFloats, gradients: Floats, norm: Double, settings: TrainingSettings, learningRate: Double,
    step: Int, chunks: [Int]? = nil, _ compute: Compute
  ) {
    let limit = settings.maxGradientNorm
    let update = AdamWStep(
      gradientScale: limit > 0 ? Float(min(1, limit / (norm + 1e-6))) : 1,
      learningRate: learningRate, beta1: settings.beta1, beta2: settings.beta2, weightDecay: settings.weightDecay,
      step: step)
    apply(update, to: chunks.map { $0.map { self.chunks[$0] } } ?? self.chunks, parameters, gradients, compute)
  }

  /// Where the parameters may be cut without cutting what is updated as a whole, ascending from 0.
  package var cuts: [Int] { chunks.map(start) }

  /// What is updated as a whole, by number, of some ranges that were cut there.
  package func chunks(in ranges: [Range<Int>]) -> [Int] {
    chunks.indices.filter { chunk in ranges.contains { $0.contains(start(of: chunks[chunk])) } }
  }

  private func start(of chunk: Chunk) -> Int {
    let part = parts[chunk.part]
    if case .eightBit = part.moments { return part.offset + chunk.range.lowerBound * DynamicMap.blockSize }
    return part.offset + chunk.range.lowerBound
  }

  /// The threads share out the chunks.
  private func apply(
    _ update: AdamWStep, to chunks: [Chunk], _ parameters: MutableFloats, _ gradients: Floats, _ compute: Compute
  ) {
    var undecayed = update
    undecayed.weightDecay = 0
    var alone = compute
    alone.threads = 1
    nonisolated(unsafe) let parts = parts
    nonisolated(unsafe) let (parameters, gradients) = (parameters, gradients)
    let (inner, steps) = (alone, (update, undecayed))
    parallelFor(chunks.count, threads: compute.threads) { index in
      let (part, range) = (parts[chunks[index].part], chunks[index].range)
      let (parameters, gradients) = (parameters + part.offset, gradients + part.offset)
      let step = part.decays ? steps.0 : steps.1
      switch part.moments {
      case .full(let m, let v):
        let first = range.lowerBound
        step.apply(
          parameters + first, gradients: gradients + first, m: m.pointer + first, v: v.pointer + first,
          count: range.count, inner)
      case .eightBit(let moments):
        step.apply(parameters, gradients: gradients, moments: moments, blocks: range, inner)
      }
    }
  }

  // MARK: - In a checkpoint

  package func write(to path: String) throws { try StateFile.write(tensors, kind: kind.rawValue, to: path) }

  /// Takes up what `write` wrote. Throws `usage` for the state of another optimiser, and `badData`, naming the tensor, where
  /// it is not the state of these parameters; nothing is changed then.
  package func read(_ path: String) throws {
    let file = try StateFile(path)
    let stored = Optimizer(rawValue: file.kind ?? Optimizer.adamw.rawValue)
    guard stored == kind else {
      throw SFTError(
        .usage,
        "holds the state of \(OptionName.optimizer) \(stored?.rawValue ?? "(unknown)"), and the run's is \(kind.rawValue)",
        file: path,
        advice: "A run goes on with the optimiser that it was started with")
    }
    try file.copy(into: tensors)
  }

  /// Memory of the moments of all parameters.
  package var memory: [UnsafeMutableRawBufferPointer] { tensors.map(\.memory) }

  /// Memory of the moments of a range that was cut at `cuts`: the same pieces of the same sizes on whatever process.
  package func memory(of range: Range<Int>) -> [UnsafeMutableRawBufferPointer] {
    parts.flatMap { part -> [UnsafeMutableRawBufferPointer] in
      let range = range.clamped(to: part.offset..<part.offset + part.count)
      guard !range.isEmpty else { return [] }
      let (first, end) = (range.lowerBound - part.offset, range.upperBound - part.offset)
      switch part.moments {
      case .full(let m, let v):
        return [m, v].map {
          UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: $0.pointer + first, count: end - first))
        }
      case .eightBit(let moments):
        let blocks = first / DynamicMap.blockSize..<(end + DynamicMap.blockSize - 1) / DynamicMap.blockSize
        return [moments.mCodes, moments.vCodes].map {
          UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: $0[first..<end]))
        }
          + [moments.mAbsmax, moments.vAbsmax].map {
            UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: $0[blocks]))
          }
      }
    }
  }

  /// By PyTorch's names, and by bitsandbytes'.
  private var tensors: [StateTensor] {
    let names = kind == .adamw ? ("exp_avg", "exp_avg_sq") : ("state1", "state2")
    return parts.flatMap { part -> [StateTensor] in
      switch part.moments {
      case .full(let m, let v):
        return [(names.0, m), (names.1, v)].map { name, values in
          StateTensor(
            part.name + name, part.shape, UnsafeMutableBufferPointer(start: values.pointer, count: part.count))
        }
      case .eightBit(let moments):
        let blocks = [moments.mAbsmax.count]
        return [
          StateTensor(part.name + names.0, part.shape, moments.mCodes),
          StateTensor(part.name + names.1, part.shape, moments.vCodes),
          StateTensor(part.name + "absmax1", blocks, moments.mAbsmax),
          StateTensor(part.name + "absmax2", blocks, moments.vAbsmax),
        ]
      }
    }
  }
}
