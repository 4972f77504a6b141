import Core
import Files
import GGUF

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Made by `Fixtures/make_gguf.py`.
func fixture(_ name: String) -> String { parentPath(#filePath) + "/Fixtures/" + name }

/// A fresh folder, removed when the object goes.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = "/tmp/sft-gguf-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try createDirectory(path)
  }

  deinit { try? removeTree(path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }
}

/// The header of a file that is in memory.
func header(_ bytes: [UInt8]) throws -> GGUFHeader {
  try bytes.withUnsafeBytes { try GGUFHeader($0, file: "x.gguf") }
}

func decoded(_ type: GGUFType, _ blocks: UnsafeRawBufferPointer) -> [Float] {
  let count = blocks.count / type.blockBytes * type.blockElements
  return [Float](unsafeUninitializedCapacity: count) { values, initialized in
    GGUFCodec.decode(type, blocks: blocks, into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
    initialized = count
  }
}

func encoded(_ type: GGUFType, _ values: [Float]) -> [UInt8] {
  let count = type.byteCount(of: values.count) ?? 0
  return [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
    let target = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: bytes[..<count]))
    values.withUnsafeBufferPointer { GGUFCodec.encode(type, $0, into: target) }
    initialized = count
  }
}

/// The places at which two lists differ in their bits; NaN equals NaN.
func differences(_ left: [Float], _ right: [Float]) -> [Int] {
  guard left.count == right.count else { return [-1] }
  return left.indices.filter {
    left[$0].bitPattern != right[$0].bitPattern && !(left[$0].isNaN && right[$0].isNaN)
  }
}

/// The bytes of a GGUF file, put together by hand.
struct Bytes {
  var bytes: [UInt8] = []

  init() {}

  init(version: UInt32 = 3, tensors: UInt64 = 0, keys: UInt64 = 0) {
    bytes = Array("GGUF".utf8)
    add(version)
    add(tensors)
    add(keys)
  }

  mutating func add<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  mutating func add(_ text: String) { add(Array(text.utf8)) }

  mutating func add(_ text: [UInt8]) {
    add(UInt64(text.count))
    bytes += text
  }

  /// A tensor's entry, with the sizes as the file lists them.
  mutating func addTensor(_ name: String, _ sizes: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
    add(name)
    add(UInt32(sizes.count))
    for size in sizes { add(size) }
    add(type)
    add(offset)
  }

  mutating func addData(_ count: Int, alignment: Int = 32) {
    bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment + count)
  }
}
