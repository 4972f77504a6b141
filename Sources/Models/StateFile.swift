import Core
import Files
import Kernels
import Weights

/// Memory that a training checkpoint keeps beside the adapter, as one tensor. Whoever made it keeps it alive.
public struct StateTensor {
  public var name: String
  public var shape: [Int]
  let dtype: TensorType
  package let memory: UnsafeMutableRawBufferPointer

  public init(_ name: String, _ shape: [Int], _ floats: UnsafeMutableBufferPointer<Float>) {
    self.init(name, shape, .f32, UnsafeMutableRawBufferPointer(floats))
  }

  public init(_ name: String, _ shape: [Int], _ bytes: UnsafeMutableBufferPointer<UInt8>) {
    self.init(name, shape, .u8, UnsafeMutableRawBufferPointer(bytes))
  }

  private init(_ name: String, _ shape: [Int], _ dtype: TensorType, _ memory: UnsafeMutableRawBufferPointer) {
    precondition(shape.reduce(dtype.size, *) == memory.count)
    self.name = name
    self.shape = shape
    self.dtype = dtype
    self.memory = memory
  }
}

/// The safetensors file that a training checkpoint keeps its optimiser's state in, bit for bit.
public struct StateFile {
  private let file: SafetensorsFile
  private static let kindKey = "sft.optimizer"

  /// Throws `notFound` and `badData` as `SafetensorsFile` does.
  public init(_ path: String) throws { file = try SafetensorsFile(path) }

  /// Which optimiser wrote it; nil for a file from before there was more than one.
  public var kind: String? { file.metadata[Self.kindKey] }

  /// The file appears whole or not at all.
  public static func write(_ tensors: [StateTensor], kind: String, to path: String) throws {
    let outputs = tensors.map { tensor in
      TensorOutput(tensor.name, tensor.dtype, tensor.shape) { sink in
        try sink(UnsafeRawBufferPointer(tensor.memory))
      }
    }
    try writeSafetensors(outputs, metadata: ["format": "pt", kindKey: kind], to: path)
  }

  /// Copies every tensor into its memory. Throws `badData`, naming the tensor, where one is missing, of another shape or
  /// dtype, holds an infinity or NaN, or is not among `tensors`; nothing is changed then.
  public func copy(into tensors: [StateTensor]) throws {
    let stored = try tensors.map { tensor in
      let bytes = try file.bytes(of: tensor.name)
      try file.tensors[tensor.name]?.check(tensor.name, dtype: tensor.dtype, shape: tensor.shape, file: file.path)
      if tensor.dtype == .f32 { try checkFinite(tensor) }
      return bytes
    }
    if let name = Set(file.names).subtracting(tensors.map(\.name)).min() {
      throw SFTError(.badData, "tensor '\(name)' is not one that this run's optimiser has", file: file.path)
    }
    for (tensor, bytes) in zip(tensors, stored) { tensor.memory.copyMemory(from: bytes) }
  }

  private func checkFinite(_ tensor: StateTensor) throws {
    guard try file.floats(tensor.name, shape: tensor.shape).withValues({ $0.allSatisfy(\.isFinite) }) else {
      throw SFTError(.badData, "tensor '\(tensor.name)' holds an infinity or NaN", file: file.path)
    }
  }
}
