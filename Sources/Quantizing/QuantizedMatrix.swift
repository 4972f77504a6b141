import Core
import Kernels
import Weights

/// A linear's weights in 4 bits: R outputs × C inputs, read-only, as bitsandbytes' `Linear4bit` stores them. Its memory is
/// its own or a mapped file's, which it then keeps mapped.
public final class QuantizedMatrix: Sendable {
  /// Elements that share an absmax, counted along the flattened [R, C].
  public static let blockSize = FourBitMatrix.blockSize
  /// Blocks whose absmax share a nested one.
  public static let nestedBlockSize = FourBitMatrix.nestedBlockSize

  public let settings: QuantizationSettings
  /// For the kernels. Its pointers are valid for as long as this object lives: keep the object.
  public let matrix: FourBitMatrix
  package let packed: Bytes
  package let statistics: Statistics

  /// The absmax of the blocks.
  package enum Statistics: Sendable {
    /// One a block.
    case plain(FloatTensor)
    case nested(NestedStatistics)
  }

  /// Double quantisation: `table[codes[block]] · absmax[block / 256] + offset`.
  package struct NestedStatistics: Sendable {
    /// One a block.
    package var codes: Bytes
    /// One per 256 blocks.
    package var absmax: FloatTensor
    /// 256 values.
    package var table: FloatTensor
    package var offset: Float
  }

  init(
    settings: QuantizationSettings, outputs: Int, inputs: Int, packed: Bytes, statistics: Statistics
  ) {
    self.settings = settings
    self.packed = packed
    self.statistics = statistics
    let pointers: FourBitMatrix.Statistics
    switch statistics {
    case .plain(let absmax): pointers = .plain(absmax.pointer)
    case .nested(let nested):
      pointers = .nested(
        codes: nested.codes.pointer, absmax: nested.absmax.pointer, table: nested.table.pointer, offset: nested.offset)
    }
    matrix = FourBitMatrix(
      code: settings.kind, outputs: outputs, inputs: inputs, packed: packed.pointer, statistics: pointers)
  }

  public var outputs: Int { matrix.outputs }
  public var inputs: Int { matrix.inputs }
  /// Number of weights.
  public var count: Int { matrix.count }
  public var blocks: Int { matrix.blocks }

  /// Bytes of codes and statistics, the tables not counted.
  public var bytes: Int {
    switch statistics {
    case .plain(let absmax): packed.count + 4 * absmax.count
    case .nested(let nested): packed.count + nested.codes.count + 4 * nested.absmax.count + 4
    }
  }

  /// Bytes of the codes and statistics of `outputs` × `inputs` weights, the tables not counted.
  public static func bytes(outputs: Int, inputs: Int, doubleQuantization: Bool) -> Int {
    let count = outputs * inputs
    let blocks = (count + blockSize - 1) / blockSize
    return (count + 1) / 2
      + (doubleQuantization ? blocks + 4 * ((blocks + nestedBlockSize - 1) / nestedBlockSize) + 4 : 4 * blocks)
  }

  /// Whether the codes lie in a mapped file and take no memory of their own.
  public var isView: Bool { packed.isView }

  /// A block's absmax, as bitsandbytes dequantises it.
  public func absmax(_ block: Int) -> Float { withExtendedLifetime(self) { matrix.absmax(block) } }

  /// panel[rows, C] = those rows as float32.
  public func decode(rows: Range<Int>, into panel: MutableFloats, _ compute: Compute) {
    withExtendedLifetime(self) { FourBit.decode(matrix, rows: rows, into: panel, compute) }
  }

  /// All of it as float32 [R, C]: what bitsandbytes' `dequantize_4bit` gives.
  public func decoded(_ compute: Compute) -> FloatTensor {
    FloatTensor(shape: [outputs, inputs]) { values in
      if let base = values.baseAddress { decode(rows: 0..<outputs, into: base, compute) }
    }
  }
}

/// Read-only bytes: memory of its own, or a view of something that it keeps alive.
package final class Bytes: Sendable {
  package nonisolated(unsafe) let pointer: UnsafePointer<UInt8>
  package let count: Int
  /// What keeps a view's memory; nil where this object owns it.
  private let owner: (any AnyObject & Sendable)?

  var isView: Bool { owner != nil }
  package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: count) }

  /// Memory of its own (64-byte aligned), filled by `fill`, which must set every byte.
  init(count: Int, _ fill: (UnsafeMutablePointer<UInt8>) throws -> Void) rethrows {
    let memory = allocateAligned(bytes: count)
    let bytes = memory.bindMemory(to: UInt8.self, capacity: count)
    do {
      try fill(bytes)
    } catch {
      memory.deallocate()
      throw error
    }
    pointer = UnsafePointer(bytes)
    self.count = count
    owner = nil
  }

  /// A view of memory that `owner` keeps valid.
  init(viewing bytes: UnsafeRawBufferPointer, of owner: any AnyObject & Sendable) {
    if let base = bytes.baseAddress {
      pointer = base.assumingMemoryBound(to: UInt8.self)
      self.owner = owner
    } else {
      pointer = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))
      self.owner = nil
    }
    count = bytes.count
  }

  deinit {
    if owner == nil { UnsafeMutableRawPointer(mutating: pointer).deallocate() }
  }
}
