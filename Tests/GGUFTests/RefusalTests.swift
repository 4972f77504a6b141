import Core
import Files
import GGUF
import Testing

/// What cannot be right is refused, and the message says where.
@Suite struct RefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var message: String
    var bytes: [UInt8]

    var testDescription: String { message }

    init(_ message: String, _ bytes: Bytes) { (self.message, self.bytes) = (message, bytes.bytes) }

    /// A file with one key of that kind and what follows it.
    static func key(
      _ message: String, _ kind: UInt32, name: [UInt8] = Array("k".utf8), _ add: (inout Bytes) -> Void
    ) -> Case {
      var bytes = Bytes(keys: 1)
      bytes.add(name)
      bytes.add(kind)
      add(&bytes)
      // So that counts are not refused for the file's end, where they are to be refused for something else.
      bytes.bytes += [UInt8](repeating: 0, count: 64)
      return Case(message, bytes)
    }

    /// A file with tensors and so many bytes of data.
    static func tensors(
      _ message: String, data: Int = 64, _ list: [(name: String, sizes: [UInt64], type: UInt32, offset: UInt64)]
    ) -> Case {
      var bytes = Bytes(tensors: UInt64(list.count))
      for (name, sizes, type, offset) in list { bytes.addTensor(name, sizes, type: type, offset: offset) }
      bytes.addData(data)
      return Case(message, bytes)
    }
  }

  private static let starts: [Case] = {
    var other = Bytes(version: 3)
    other.bytes[0] = UInt8(ascii: "g")
    var short = Bytes()
    short.bytes = Array("GGUF\u{3}\0\0".utf8)
    var cut = Bytes()
    cut.bytes = Array(Bytes(version: 3).bytes.prefix(20))
    return [
      Case("is 0 bytes long: too short for a GGUF file", Bytes()),
      Case("is 7 bytes long: too short for a GGUF file", short),
      Case("does not start with 'GGUF'", other),
      Case("ends inside the number of keys", cut),
      Case("is a GGUF file of version 0, expected 2 or 3", Bytes(version: 0)),
      Case("is a GGUF file of version 1, expected 2 or 3", Bytes(version: 1)),
      Case("is a GGUF file of version 4, expected 2 or 3", Bytes(version: 4)),
      Case(
        "is a big-endian GGUF file (version 3), expected a little-endian one",
        Bytes(version: UInt32(3).byteSwapped)),
      Case("the number of tensors is 18446744073709551615, but only 8 bytes follow", Bytes(tensors: .max)),
      Case("the number of tensors is 1, but only 8 bytes follow", Bytes(tensors: 1)),
      Case("the number of keys is 9223372036854775808, but only 0 bytes follow", Bytes(keys: 1 << 63)),
    ]
  }()

  private static let keys: [Case] = {
    var twice = Bytes(keys: 2)
    for _ in 0..<2 {
      twice.add("a.key")
      twice.add(UInt32(0))
      twice.bytes.append(7)
    }
    var cut = Bytes(keys: 1)
    cut.add("a")
    cut.bytes += [11, 0, 0, 0, 1, 2, 3]
    var second = Case.key("", 4) { $0.add(UInt32(1)) }
    second.bytes[16] = 2
    return [
      Case("has the key 'a.key' twice", twice),
      Case("ends inside the key 'a'", cut),
      .key("key 0 of 1 has an empty name", 0, name: []) { _ in },
      .key("the name of key 0 of 1 holds text that is not valid UTF-8", 0, name: [0xc3, 0x28]) { _ in },
      .key("the kind of the key 'k' is 13, which is unknown: the format has 0 to 12", 13) { _ in },
      .key("the kind of the key 'k' is 4294967295, which is unknown: the format has 0 to 12", .max) { _ in },
      .key("the key 'k' is a bool of 2, expected 0 or 1", 7) { $0.bytes.append(2) },
      .key("the key 'k' claims a text of 18446744073709551615 bytes, but only 64 follow", 8) { $0.add(UInt64.max) },
      .key("the key 'k' claims a text of 65 bytes, but only 64 follow", 8) { $0.add(UInt64(65)) },
      .key("the key 'k' holds text that is not valid UTF-8", 8) { $0.add([0x61, 0xff]) },
      .key("the key 'k' holds text that is not valid UTF-8", 8) { $0.add([0xed, 0xa0, 0x80]) },
      .key("the key 'k' is an array of arrays, which is not supported", 9) { $0.bytes += [9, 0, 0, 0] },
      .key("the kind of the values of the key 'k' is 200, which is unknown: the format has 0 to 12", 9) {
        $0.bytes += [200, 0, 0, 0]
      },
      .key("the number of values of the key 'k' is 2305843009213693952, but only 64 bytes follow", 9) {
        $0.add(UInt32(12))
        $0.add(UInt64(1) << 61)
      },
      .key("the number of values of the key 'k' is 9, but only 64 bytes follow", 9) {
        $0.add(UInt32(8))
        $0.add(UInt64(9))
      },
      .key("value 1 of the key 'k' holds text that is not valid UTF-8", 9) {
        $0.add(UInt32(8))
        $0.add(UInt64(2))
        $0.add("fine")
        $0.add([0x80])
      },
      .key("value 2 of the key 'k' is a bool of 3, expected 0 or 1", 9) {
        $0.add(UInt32(7))
        $0.add(UInt64(3))
        $0.bytes += [0, 1, 3]
      },
      .key(
        "the key 'general.alignment' is uint64 32, expected a uint32 that is a power of two from 8 to 1048576", 10,
        name: Array("general.alignment".utf8)
      ) { $0.add(UInt64(32)) },
    ]
      + [UInt32(0), 1, 4, 48, 1 << 21, .max].map { alignment in
        .key(
          "the key 'general.alignment' is uint32 \(alignment), expected a uint32 that is a power of two from 8 to 1048576",
          4, name: Array("general.alignment".utf8)
        ) { $0.add(alignment) }
      } + [Case("key 1 of 2 has an empty name", Bytes()).with(second.bytes)]
  }()

  private static let shapes: [Case] = [
    .tensors("has the tensor 'w' twice", [("w", [4], 0, 0), ("w", [4], 0, 32)]),
    .tensors("tensor 0 of 1 has an empty name", [("", [4], 0, 0)]),
    .tensors("tensor 'w': has 0 dimensions, expected 1 to 4", [("w", [], 0, 0)]),
    .tensors("tensor 'w': has 5 dimensions, expected 1 to 4", [("w", [1, 1, 1, 1, 1], 0, 0)]),
    .tensors("tensor 'w': has a dimension of 0 values", [("w", [4, 0], 0, 0)]),
    .tensors("tensor 'w': has a dimension of 9223372036854775808 values", [("w", [1 << 63], 0, 0)]),
    .tensors(
      "tensor 'w': shape [4294967296, 2147483648] has more values than can be counted",
      [("w", [1 << 31, 1 << 32], 0, 0)]),
    .tensors(
      "tensor 'w': shape [2147483648, 2147483648] of F32 takes more bytes than can be counted",
      [("w", [1 << 31, 1 << 31], 0, 0)]),
    .tensors("tensor 'w': has the unknown type 99", [("w", [4], 99, 0)]),
    .tensors("tensor 'w': is stored as Q2_K, which is not supported", [("w", [256], 10, 0)]),
    .tensors("tensor 'w': is stored as IQ4_XS, which is not supported", [("w", [256], 23, 0)]),
    .tensors(
      "tensor 'w': its rows of 48 values are not whole blocks of 32, as Q4_0 needs them", [("w", [48, 2], 2, 0)]),
    .tensors(
      "tensor 'w': its rows of 128 values are not whole blocks of 256, as Q6_K needs them", [("w", [128, 2], 14, 0)]),
    .tensors("tensor 'w': starts at byte 16 of the data, which is not a multiple of 32", [("w", [4], 0, 16)]),
    .tensors(
      "tensor 'w': starts at byte 18446744073709551584 of the data, which is more than can be counted",
      [("w", [4], 0, UInt64.max - 31)]),
    .tensors(
      "tensor 'w': its 16 bytes from byte 64 of the data on go beyond the file, which has 64 bytes of data",
      [("w", [4], 0, 64)]),
    .tensors(
      "tensor 'w': its 68 bytes from byte 0 of the data on go beyond the file, which has 64 bytes of data",
      [("w", [17], 0, 0)]),
    .tensors(
      "tensor 'w': its 16 bytes from byte 9223372036854775776 of the data on go beyond the file, "
        + "which has 64 bytes of data", [("w", [4], 0, UInt64(Int.max - 31))]),
    .tensors("the tensors 'a' and 'b' overlap", [("b", [4], 0, 32), ("a", [9], 0, 0)]),
    .tensors("the tensors 'a' and 'b' overlap", [("a", [1], 0, 0), ("b", [1], 0, 0)]),
  ]

  @Test(arguments: starts + keys + shapes) func aDamagedHeaderIsRefused(_ damaged: Case) throws {
    let folder = try TemporaryFolder()
    try writeAtomically(damaged.bytes, to: folder("x.gguf"))
    do {
      _ = try GGUFFile(folder("x.gguf"))
      Issue.record("was read")
    } catch let error as SFTError {
      #expect(error.kind == .badData)
      #expect(error.message == damaged.message)
      #expect(error.file == folder("x.gguf"))
    }
  }

  /// A file cut at any byte: all of the header's are needed, and of the data all but the padding at the end.
  @Test(arguments: ["layout.gguf", "version2.gguf"]) func aFileCutShortIsRefused(_ name: String) throws {
    let whole = try readFile(fixture(name))
    let end = try header(whole).tensors.map { $0.offset + $0.byteCount }.max() ?? 0
    for count in 0..<end {
      #expect(throws: SFTError.self, "\(count) bytes") { try header(Array(whole.prefix(count))) }
    }
    #expect(throws: Never.self) { try header(Array(whole.prefix(end))) }
  }

  @Test func aMissingFileIsNotFound() {
    let error = #expect(throws: SFTError.self) { try GGUFFile("/nowhere/x.gguf") }
    #expect(error?.kind == .notFound)
  }

  /// Between tensors there may be room, and their order is not that of their data.
  @Test func holesAndOtherOrdersAreFine() throws {
    var bytes = Bytes(tensors: 2)
    bytes.addTensor("late", [4], offset: 64)
    bytes.addTensor("early", [8, 1], offset: 0)
    bytes.addData(80)
    #expect(try header(bytes.bytes).tensors.map(\.name) == ["late", "early"])
  }
}

extension RefusalTests.Case {
  func with(_ bytes: [UInt8]) -> Self {
    var copy = self
    copy.bytes = bytes
    return copy
  }
}
