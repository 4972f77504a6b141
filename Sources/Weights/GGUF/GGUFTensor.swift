import Core
import Files
import GGUF

/// A tensor of a GGUF file as the model's own files would have it.
struct GGUFTensor: Sendable {
  let file: GGUFFile
  let info: GGUFTensorInfo
  /// As the model has it.
  let shape: [Int]
  /// What became of it on its way into the file.
  let change: GGUFChange

  private var isFloat: Bool { [.f32, .f16, .bf16].contains(info.type) }

  /// Sets `values` to those of a range. Range and rows are whole blocks; the tensor never exists as a whole.
  func read(_ range: Range<Int>, into values: UnsafeMutableBufferPointer<Float>) {
    precondition(values.count == range.count && range.upperBound <= info.count)
    switch change {
    case .none: file.decode(info, from: range.lowerBound, into: values)
    case .addOne:
      file.decode(info, from: range.lowerBound, into: values)
      for index in values.indices { values[index] -= 1 }
    case .interleave(let heads): readRows(range, heads: heads, into: values)
    case .transpose: readColumns(range, into: values)
    }
  }

  /// A vector's elements are rows of one.
  private func readRows(_ range: Range<Int>, heads: Int, into values: UnsafeMutableBufferPointer<Float>) {
    let rows = shape[0]
    let width = info.count / rows
    var at = range.lowerBound
    while at < range.upperBound {
      let (row, start) = (at / width, at % width)
      let count = min(width - start, range.upperBound - at)
      let place = GGUFChange.interleavedPlace(row, rows: rows, heads: heads)
      let part = UnsafeMutableBufferPointer(
        rebasing: values[at - range.lowerBound..<at - range.lowerBound + count])
      file.decode(info, from: place * width + start, into: part)
      at += count
    }
  }

  /// Of [in, out] from [out, in]: each stored row is a column.
  private func readColumns(_ range: Range<Int>, into values: UnsafeMutableBufferPointer<Float>) {
    guard !range.isEmpty else { return }
    let (inputs, outputs) = (shape[0], shape[1])
    withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs) { row in
      for output in 0..<outputs {
        file.decode(info, from: output * inputs, into: row)
        for input in range.lowerBound / outputs...(range.upperBound - 1) / outputs {
          let index = input * outputs + output
          if range.contains(index) { values[index - range.lowerBound] = row[input] }
        }
      }
    }
  }

  /// A view of the file where that has the very values, else memory of its own.
  func floats() -> FloatTensor {
    if isFloatView, let start = file.bytes(info).baseAddress {
      return FloatTensor(viewing: start.assumingMemoryBound(to: Float.self), shape: shape, of: file.mapping)
    }
    return FloatTensor(shape: shape) { read(0..<info.count, into: $0) }
  }

  var isFloatView: Bool { info.type == .f32 && change == .none && info.offset % 4 == 0 }

  private var isCopied: Bool { if case .interleave = change { true } else { false } }

  /// Whether `halves` gives its elements.
  var isHalf: Bool {
    guard [.f16, .bf16].contains(info.type), info.offset % 2 == 0 else { return false }
    switch change {
    case .none, .interleave, .transpose: return true
    case .addOne: return false
    }
  }

  func halves() -> HalfTensor? {
    guard isHalf, let (start, owner) = rows() else { return nil }
    return HalfTensor(
      dtype: info.type == .bf16 ? .bf16 : .f16, shape: info.shape, pointer: start.assumingMemoryBound(to: UInt16.self),
      keptBy: owner)
  }

  func blocks() -> BlockTensor? {
    guard !isFloat, info.shape.count == 2, change != .addOne, let (start, owner) = rows() else { return nil }
    return BlockTensor(
      type: info.type, outputs: info.shape[0], inputs: info.shape[1],
      pointer: start.assumingMemoryBound(to: UInt8.self), owner: owner)
  }

  /// The stored rows, in the file or, where they change places, copied as they are.
  private func rows() -> (start: UnsafeRawPointer, owner: AnyObject)? {
    let stored = file.bytes(info)
    guard let start = stored.baseAddress else { return nil }
    guard case .interleave(let heads) = change else { return (start, file) }
    let rows = shape[0]
    let width = stored.count / rows
    let copy = OwnedBytes(stored.count)
    for row in 0..<rows {
      let place = GGUFChange.interleavedPlace(row, rows: rows, heads: heads)
      (copy.start + row * width).copyMemory(from: start + place * width, byteCount: width)
    }
    if stored.count >= 1 << 16 { adviseMapped(stored, .dontNeed) }
    return (UnsafeRawPointer(copy.start), copy)
  }

  var stored: StoredTensor {
    let form: StoredTensor.Form =
      switch info.type {
      case .f32: .elements(.f32)
      case .f16: .elements(.f16)
      case .bf16: .elements(.bf16)
      default: .blocks(info.type)
      }
    return StoredTensor(
      form: form, shape: shape, byteCount: info.byteCount, isFloatView: isFloatView, isHalf: isHalf,
      isCopied: isCopied)
  }
}
