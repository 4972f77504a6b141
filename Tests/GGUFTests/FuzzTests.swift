import Core
import Files
import GGUF
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Files with bytes, numbers and pieces changed: whatever they are, they are read in full or refused as bad data.
/// `GGUF_FUZZ_SECONDS` makes it longer, `GGUF_FUZZ_SEED` other.
@Suite struct FuzzTests {
  /// Numbers that lengths, counts, sizes and offsets may not survive.
  private static let numbers: [UInt64] = [
    0, 1, 2, 3, 7, 8, 9, 12, 13, 31, 32, 33, 64, 255, 256, 4096, 65535, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 32,
    (1 << 32) - 1, 1 << 61, 1 << 62, (1 << 63) - 1, 1 << 63, .max, .max - 31, .max / 2 - 31,
  ]

  private func mutated(_ whole: [UInt8], headerCount: Int, _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = whole
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      guard !bytes.isEmpty else { break }
      let limit = Int.random(in: 0..<8, using: &random) == 0 ? bytes.count : min(bytes.count, headerCount)
      let place = Int.random(in: 0..<limit, using: &random)
      let end = min(bytes.count, place + Int.random(in: 1...24, using: &random))
      switch Int.random(in: 0..<8, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0 ... .max, using: &random)
      case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(place..<end)
      case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
      case 4: bytes.removeSubrange(place...)
      default:
        let number = Self.numbers.randomElement(using: &random) ?? 0
        let width = Bool.random(using: &random) ? 4 : 8
        for index in 0..<width where place + index < bytes.count {
          bytes[place + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
        }
      }
    }
    return bytes
  }

  /// All that can be asked of a file that was accepted.
  private func use(_ header: GGUFHeader, _ bytes: UnsafeRawBufferPointer) {
    for tensor in header.tensors {
      #expect(tensor.offset >= 0 && tensor.offset + tensor.byteCount <= bytes.count)
      #expect(tensor.count == tensor.shape.reduce(1, *))
      let values = decoded(tensor.type, UnsafeRawBufferPointer(rebasing: bytes[tensor.range]))
      #expect(values.count == tensor.count)
    }
    for key in header.metadata.keys {
      _ = (try? header.metadata.int(key), try? header.metadata.floats(key), try? header.metadata.ints(key))
      _ = (try? header.metadata.double(key), try? header.metadata.strings(key), try? header.metadata.string(key))
    }
  }

  @Test func whateverAFileHoldsItIsReadOrRefused() throws {
    let seconds = getenv("GGUF_FUZZ_SECONDS").flatMap { Double(String(cString: $0)) }
    let seed = getenv("GGUF_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    var random = SeededGenerator(seed: seed)
    let sources = try ["layout.gguf", "version2.gguf"].map { try readFile(fixture($0)) }
    let starts = try sources.map { bytes in try header(bytes).tensors.map(\.offset).min() ?? bytes.count }
    let start = ContinuousClock.now
    var (accepted, refused) = (0, 0)
    var slowest = Duration.zero
    while seconds.map({ start.duration(to: .now) < .seconds($0) }) ?? (accepted + refused < 20_000) {
      let source = Int.random(in: 0..<3, using: &random) == 0 ? 1 : 0
      let bytes = mutated(sources[source], headerCount: starts[source], &random)
      let began = ContinuousClock.now
      do {
        try bytes.withUnsafeBytes { use(try GGUFHeader($0, file: "x.gguf"), $0) }
        accepted += 1
      } catch let error as SFTError {
        #expect(error.kind == .badData && error.file == "x.gguf" && !error.message.isEmpty)
        refused += 1
      }
      slowest = max(slowest, began.duration(to: .now))
    }
    if seconds != nil { print("\(accepted) read, \(refused) refused; the slowest took \(slowest)") }
    #expect(accepted > 500 && refused > 500)
  }

  /// Random blocks of every type, at every alignment, beside what their values can be at most.
  @Test func anyBytesAreBlocks() {
    var random = SeededGenerator(seed: 2)
    for type in GGUFType.allCases {
      for shift in 0..<8 {
        let noise = (0..<shift + 6 * type.blockBytes).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
        noise.withUnsafeBytes { bytes in
          let blocks = UnsafeRawBufferPointer(rebasing: bytes[shift...])
          let aligned = Array(blocks)
          #expect(differences(decoded(type, blocks), aligned.withUnsafeBytes { decoded(type, $0) }) == [])
        }
      }
    }
  }
}
