import Core
import Kernels
import Weights

/// The trainable parameters: every A and B, and what of embedding, head and final norm is trained itself, in one flat float32
/// memory, so that clipping and the optimiser are one loop.
public final class Adapter {
  /// Where one linear's pair lies in the flat memory.
  public struct Pair: Sendable, Equatable {
    /// Module name, such as `transformer.h.0.attn.c_attn`.
    public var name: String
    /// A is [r, inputWidth], row-major, at `aOffset`.
    public var aOffset: Int
    /// B is [outputWidth, r], row-major, at `bOffset`.
    public var bOffset: Int
    public var inputWidth: Int
    public var outputWidth: Int
    public var layer: Int
  }

  public let configuration: LoRAConfiguration
  public let pairs: [Pair]
  /// What is trained of the embedding, the head and the final norm; it lies after the pairs in the flat memory.
  public let ends: [TrainedEnd]
  /// How many parameters there are.
  public let count: Int
  public let parameters: FloatBuffer
  /// By linear index; nil where a linear is not adapted.
  private let pairOfLinear: [Int?]
  private let embeddingRows: TokenRows?
  private let headRows: TokenRows?

  /// Zeros, and of embedding, head and final norm what the base has, unless `takesValues` is false, as for a decoder that has
  /// no weights. Throws `usage` for targets, tokens and modules that the model does not have.
  public init(_ configuration: LoRAConfiguration, for decoder: Decoder, takesValues: Bool = true) throws {
    let linears = decoder.linears
    self.configuration = configuration
    var pairs: [Pair] = []
    var pairOfLinear = [Int?](repeating: nil, count: linears.count)
    var offset = 0
    for index in try configuration.select(from: linears) {
      let linear = linears[index]
      let aCount = configuration.rank * linear.inputWidth
      pairOfLinear[index] = pairs.count
      pairs.append(
        Pair(
          name: linear.name, aOffset: offset, bOffset: offset + aCount, inputWidth: linear.inputWidth,
          outputWidth: linear.outputWidth, layer: linear.layer))
      offset += aCount + configuration.rank * linear.outputWidth
    }
    self.pairs = pairs
    self.pairOfLinear = pairOfLinear
    let ends = try configuration.ends(of: decoder.configuration, from: offset)
    count = offset + ends.reduce(0) { $0 + $1.tensor.count }
    let parameters = FloatBuffer(count)
    func rows(_ end: ModelEnd) -> TokenRows? {
      ends.first { $0.end == end && $0.tokens != nil }.flatMap { end in
        end.tokens.map { TokenRows($0, end.tensor.view(of: parameters)) }
      }
    }
    (self.ends, self.parameters) = (ends, parameters)
    embeddingRows = rows(.embedding)
    headRows = decoder.configuration.tiedHead ? rows(.embedding) : rows(.head)
    guard takesValues else { return }
    let base = decoder.ends(with: nil)
    for end in ends { base.copy(end, into: parameters.pointer + end.tensor.offset) }
  }

  /// The ends of a decoder with what this has in the place of the base's; nil where that is nothing.
  func replacing(_ base: DecoderEnds) -> DecoderEnds? {
    if ends.isEmpty { return nil }
    var replaced = base
    (replaced.embeddingRows, replaced.headRows) = (embeddingRows, headRows)
    for end in ends where end.tokens == nil {
      let values = end.tensor.view(of: parameters)
      switch end.end {
      case .embedding: replaced.tokenEmbedding = .floats(values)
      case .head: replaced.head.weight = .outputMajor(values)
      case .finalNorm:
        if case .layer = base.finalNorm.kind, end.name.hasSuffix(".bias") {
          replaced.finalNorm.kind = .layer(bias: values)
        } else {
          replaced.finalNorm.weight = values
        }
      }
    }
    return replaced
  }

  /// A uniform in ±1/√in (PyTorch's `kaiming_uniform_` with a = √5, as PEFT initialises), B zero. Each tensor has its own
  /// stream of random numbers, so that adapting other layers too does not change it.
  public func initialize(seed: UInt64) {
    for pair in pairs {
      var generator = SeededGenerator(seed: seed, name: pair.name)
      let bound = 1 / Double(pair.inputWidth).squareRoot()
      for i in 0..<configuration.rank * pair.inputWidth {
        parameters.pointer[pair.aOffset + i] = Float((2 * generator.uniform() - 1) * bound)
      }
      for i in 0..<configuration.rank * pair.outputWidth { parameters.pointer[pair.bOffset + i] = 0 }
    }
  }

  func pair(of linear: Linear) -> Pair? { pair(of: linear.index) }

  /// The pair of a linear by its place among the decoder's; nil where it is not adapted.
  public func pair(of linear: Int) -> Pair? { pairOfLinear[linear].map { pairs[$0] } }

  /// The lowest block with an adapter: the backward pass stops there, and what enters it depends on the frozen base alone. The
  /// first where something of the embedding is trained.
  public var lowestLayer: Int { trainsEmbedding ? 0 : pairs.map(\.layer).min() ?? 0 }

  /// Whether something of the embedding is trained, so that the backward pass goes down to it.
  public var trainsEmbedding: Bool { ends.contains { $0.end == .embedding } }

  /// Every A, [r, in], and B, [out, r], and what else is trained, in the order of the memory, by PEFT's names without its
  /// prefix: `transformer.h.0.attn.c_attn.lora_A.weight`.
  public var tensors: [ParameterTensor] {
    let rank = configuration.rank
    return pairs.flatMap { pair in
      [
        ParameterTensor(name: pair.name + ".lora_A.weight", shape: [rank, pair.inputWidth], offset: pair.aOffset),
        ParameterTensor(name: pair.name + ".lora_B.weight", shape: [pair.outputWidth, rank], offset: pair.bOffset),
      ]
    } + ends.map(\.tensor)
  }

  public func values(_ tensor: ParameterTensor) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: parameters.pointer + tensor.offset, count: tensor.count)
  }
}
