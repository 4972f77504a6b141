import Core
import Kernels
import Quantizing
import Weights

/// Where a decoder takes its weights from, and the one place that decides how each is kept.
struct WeightSource {
  let configuration: ModelConfiguration
  /// By tensor name, those to use in 4 bits.
  private let quantized: [String: QuantizedMatrix]
  /// By tensor name, those that are stored in ggml's blocks.
  private let blocks: [String: BlockMatrix]
  /// By what to lay out the linears; nil to leave them as they are stored.
  private let panels: Compute?
  private let halves: (TensorSpecification) throws -> HalfTensor?
  private let floats: (_ name: String, _ shape: [Int]) throws -> FloatTensor
  private let specifications: [TensorKey: TensorSpecification]

  private struct TensorKey: Hashable {
    var role: TensorRole
    var layer: Int?
  }

  init(
    _ configuration: ModelConfiguration, quantized: [String: QuantizedMatrix] = [:],
    blocks: [String: BlockMatrix] = [:], panels: Compute? = nil,
    halves: @escaping (TensorSpecification) throws -> HalfTensor? = { _ in nil },
    _ floats: @escaping (_ name: String, _ shape: [Int]) throws -> FloatTensor
  ) {
    self.configuration = configuration
    self.quantized = quantized
    self.blocks = blocks
    self.panels = panels
    self.halves = halves
    self.floats = floats
    specifications = Dictionary(
      uniqueKeysWithValues: configuration.expectedTensors.map { (TensorKey(role: $0.role, layer: $0.layer), $0) })
  }

  /// What the model calls the tensor of a role; nil where it has none.
  func specification(_ role: TensorRole, layer: Int? = nil) -> TensorSpecification? {
    specifications[TensorKey(role: role, layer: layer)]
  }

  /// A tensor as float32; nil where the model has none of that role.
  func tensor(_ role: TensorRole, layer: Int? = nil) throws -> FloatTensor? {
    try specification(role, layer: layer).map { try floats($0.name, $0.shape) }
  }

  /// As `tensor`. Throws `internalError` where the model has none.
  func required(_ role: TensorRole, layer: Int? = nil) throws -> FloatTensor {
    guard let tensor = try tensor(role, layer: layer) else {
      throw SFTError(.internalError, "the model has no tensor for \(role)")
    }
    return tensor
  }

  /// In 4 bits where it is given so; in blocks or in 16 bits where it is stored so; else in float32, laid out if that is asked for: its
  /// copy then takes the place of the mapped pages, so that it costs no memory.
  func weight(_ tensor: TensorSpecification) throws -> LinearWeight {
    let quantized = quantized[tensor.name]
    let blocks = try quantized == nil ? blocks(tensor) : nil
    let half = try quantized == nil && blocks == nil ? halves(tensor) : nil
    let keeping = WeightKeeping(
      isQuantized: quantized != nil, isInBlocks: blocks != nil, isHalf: half != nil, usesPanels: panels != nil)
    if keeping == .quantized, let quantized { return .quantized(quantized) }
    if keeping == .blocks, let blocks { return .blocks(blocks) }
    if keeping == .half, let half { return .half(HalfMatrix(half)) }
    let weight = try floats(tensor.name, tensor.shape)
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    guard keeping == .panels, let panels else {
      return tensor.orientation == .inputsByOutputs ? .inputMajor(weight) : .outputMajor(weight)
    }
    guard tensor.orientation == .outputsByInputs else {
      defer { weight.releasePages() }
      return .panels(PanelMatrix(weight.pointer, stride: columns, rows: rows, columns: columns, panels))
    }
    return .panels(
      PanelMatrix(transposed: weight.pointer, stride: columns, rows: columns, columns: rows, panels) {
        weight.releasePages(rows: $0)
      })
  }

  /// A tensor that is stored in blocks, as [out, in] whichever way the model's own files have it; nil for another.
  ///
  /// Throws `badData` where its shape is not the model's.
  private func blocks(_ tensor: TensorSpecification) throws -> BlockMatrix? {
    guard let matrix = blocks[tensor.name] else { return nil }
    let shape = tensor.orientation == .inputsByOutputs ? tensor.shape.reversed() : tensor.shape
    guard shape == [matrix.outputs, matrix.inputs] else {
      throw SFTError(
        .badData, "the tensor \(tensor.name) is \(matrix.outputs) × \(matrix.inputs) where the model has \(shape)")
    }
    return matrix
  }

  /// The rows of the embedding table where the head does not have them laid out.
  func embedding() throws -> EmbeddingRows {
    guard let tensor = specification(.tokenEmbedding) else {
      throw SFTError(.internalError, "the model has no embedding table")
    }
    if let blocks = try blocks(tensor) { return .blocks(blocks) }
    if let half = try halves(tensor) { return .half(HalfMatrix(half)) }
    return .floats(try floats(tensor.name, tensor.shape))
  }
}

/// How a matrix that products are made with is kept.
enum WeightKeeping {
  case quantized, blocks, half
  /// Laid out in float32.
  case panels
  /// In float32 as it is stored.
  case stored

  init(isQuantized: Bool, isInBlocks: Bool = false, isHalf: Bool, usesPanels: Bool) {
    if isQuantized {
      self = .quantized
    } else if isInBlocks {
      self = .blocks
    } else if isHalf {
      self = .half
    } else {
      self = usesPanels ? .panels : .stored
    }
  }
}

/// How the token vectors are kept.
enum EmbeddingRows: Sendable {
  case floats(FloatTensor)
  case half(HalfMatrix)
  case blocks(BlockMatrix)
  /// The columns of the head, which is the same table.
  case head(PanelMatrix)

  /// The rows of a head's weight; nil for one in a form that no head has.
  init?(head weight: LinearWeight) {
    switch weight {
    case .outputMajor(let weight): self = .floats(weight)
    case .half(let weight): self = .half(weight)
    case .blocks(let weight): self = .blocks(weight)
    case .panels(let weight): self = .head(weight)
    case .inputMajor, .quantized: return nil
    }
  }

  var table: Embedding.Table {
    switch self {
    case .floats(let tensor): .rows(tensor.pointer)
    case .half(let matrix): .halfRows(matrix)
    case .blocks(let matrix): .blockRows(matrix)
    case .head(let matrix): .columns(matrix)
    }
  }
}

extension HalfMatrix {
  init(_ tensor: HalfTensor) {
    self.init(
      tensor.pointer, tensor.dtype == .bf16 ? .bfloat16 : .float16, rows: tensor.shape[0], columns: tensor.shape[1],
      keptBy: tensor.owner)
  }
}
