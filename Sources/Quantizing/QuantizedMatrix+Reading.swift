import Core
import JSON
import Kernels
import Weights

/// Where a quantised linear's tensors are read from: one file, or a model folder's.
public protocol QuantizedTensorSource: AnyObject, Sendable {
  /// A tensor's dtype, shape and place; nil where there is none of that name.
  func tensorInfo(_ name: String) -> TensorInfo?
  /// Its bytes, valid for as long as the source lives.
  func bytes(of name: String) throws -> UnsafeRawBufferPointer
  func floats(_ name: String, shape: [Int]) throws -> FloatTensor
  /// The file or folder that a message about a tensor names.
  func place(of name: String) -> String
}

extension SafetensorsFile: QuantizedTensorSource {
  public func tensorInfo(_ name: String) -> TensorInfo? { tensors[name] }
  public func place(of name: String) -> String { path }
}

extension WeightFiles: QuantizedTensorSource {
  public func tensorInfo(_ name: String) -> TensorInfo? { info(name) }
  public func place(of name: String) -> String { (try? path(of: name)) ?? folder }
}

extension QuantizedMatrix {
  /// Whether `name` is stored as a quantised linear's weight.
  public static func isStored(_ name: String, in source: some QuantizedTensorSource) -> Bool {
    FourBitCode.allCases.contains { source.tensorInfo(name + StoredTensor.state.rawValue + $0.rawValue) != nil }
  }

  /// Reads what bitsandbytes (or `tensors(name:)`) wrote for the weight of that name; codes and statistics stay in the
  /// mapped file. Throws `badData`, naming file and tensor, where a tensor is missing, of another shape or dtype than the
  /// state and the expected R × C call for, where the state asks for what is not supported here (other block sizes), and
  /// where a statistic is not finite.
  public convenience init(
    reading name: String, outputs: Int, inputs: Int, from source: some QuantizedTensorSource
  ) throws {
    let reader = QuantizedReader(name: name, outputs: outputs, inputs: inputs, source: source)
    let (settings, offset) = try reader.state()
    try reader.checkTable(settings.kind)
    let packed = try reader.bytes("", shape: [(outputs * inputs + 1) / 2, 1])
    let statistics =
      try offset.map { Statistics.nested(try reader.nestedStatistics(offset: $0)) }
      ?? .plain(try reader.statistic(.absmax, count: reader.blocks))
    self.init(settings: settings, outputs: outputs, inputs: inputs, packed: packed, statistics: statistics)
  }
}

/// Reads and checks the tensors of one quantised linear.
private struct QuantizedReader<Source: QuantizedTensorSource> {
  var name: String
  var outputs: Int
  var inputs: Int
  var source: Source

  var blocks: Int { (outputs * inputs + QuantizedMatrix.blockSize - 1) / QuantizedMatrix.blockSize }

  func failure(_ suffix: String, _ message: String) -> SFTError {
    SFTError(.badData, "tensor '\(name + suffix)': \(message)", file: source.place(of: name + suffix))
  }

  /// The settings, and the offset where the statistics are quantised.
  func state() throws -> (QuantizationSettings, offset: Float?) {
    let prefix = QuantizedMatrix.StoredTensor.state.rawValue
    let kinds = FourBitCode.allCases.filter { source.tensorInfo(name + prefix + $0.rawValue) != nil }
    guard let kind = kinds.first, kinds.count == 1 else {
      throw failure(prefix + "nf4", kinds.isEmpty ? "is missing, or another quant_type's" : "fp4's is there too")
    }
    let suffix = prefix + kind.rawValue
    let stored = try bytes(suffix, shape: nil)
    guard stored.count <= 1 << 16 else { throw failure(suffix, "is \(stored.count) bytes long: no quantisation state") }
    let state: JSONValue
    do {
      state = try parseJSON(stored.buffer, file: source.place(of: name + suffix))
    } catch let error as SFTError {
      throw failure(suffix, "is not sound JSON: \(error.message)")
    }
    func expect(_ key: String, _ expected: JSONValue) throws {
      guard state[key] != expected else { return }
      throw failure(
        suffix, "'\(key)' is \(state[key]?.serialized ?? "missing"), and \(expected.serialized) is what is read here")
    }
    try expect("quant_type", .string(kind.rawValue))
    try expect("blocksize", .integer(QuantizedMatrix.blockSize))
    try expect("shape", .array([.integer(outputs), .integer(inputs)]))
    let offset = try offset(state, suffix)
    if offset != nil {
      try expect("nested_blocksize", .integer(QuantizedMatrix.nestedBlockSize))
      try expect("nested_dtype", .string("float32"))
    }
    return (QuantizationSettings(kind: kind, doubleQuantization: offset != nil), offset)
  }

  /// nil where the statistics are float32; what the state says must be what is stored.
  private func offset(_ state: JSONValue, _ suffix: String) throws -> Float? {
    let isNested = source.tensorInfo(name + QuantizedMatrix.StoredTensor.nestedAbsmax.rawValue) != nil
    guard let value = state["nested_offset"] else {
      if isNested { throw failure(suffix, "'nested_offset' is missing") }
      return nil
    }
    guard let offset = value.double.map({ Float($0) }), offset.isFinite else {
      throw failure(suffix, "'nested_offset' is \(value.serialized), which is no float32")
    }
    return offset
  }

  /// The values must be the ones that the kernels use.
  func checkTable(_ kind: FourBitCode) throws {
    let suffix = QuantizedMatrix.StoredTensor.table.rawValue
    guard try floats(suffix, count: 16).array == kind.values else {
      throw failure(suffix, "does not hold the 16 values of \(kind.rawValue)")
    }
  }

  func nestedStatistics(offset: Float) throws -> QuantizedMatrix.NestedStatistics {
    let nestedBlocks = (blocks + QuantizedMatrix.nestedBlockSize - 1) / QuantizedMatrix.nestedBlockSize
    return QuantizedMatrix.NestedStatistics(
      codes: try bytes(QuantizedMatrix.StoredTensor.absmax.rawValue, shape: [blocks]),
      absmax: try statistic(.nestedAbsmax, count: nestedBlocks), table: try statistic(.nestedTable, count: 256),
      offset: offset)
  }

  /// float32 values, all of them finite.
  func statistic(_ tensor: QuantizedMatrix.StoredTensor, count: Int) throws -> FloatTensor {
    let values = try floats(tensor.rawValue, count: count)
    guard values.withValues({ $0.allSatisfy(\.isFinite) }) else {
      throw failure(tensor.rawValue, "holds an infinity or NaN")
    }
    return values
  }

  private func floats(_ suffix: String, count: Int) throws -> FloatTensor {
    try check(suffix, .f32, [count])
    return try source.floats(name + suffix, shape: [count])
  }

  func bytes(_ suffix: String, shape: [Int]?) throws -> Bytes {
    try check(suffix, .u8, shape)
    return Bytes(viewing: try source.bytes(of: name + suffix), of: source)
  }

  private func check(_ suffix: String, _ dtype: TensorType, _ shape: [Int]?) throws {
    guard let info = source.tensorInfo(name + suffix) else { throw failure(suffix, "is missing") }
    try info.check(name + suffix, dtype: dtype, shape: shape, file: source.place(of: name + suffix))
  }
}
