import Core
import Files
import Testing
import Weights

@Suite struct SafetensorsFileTests {
  /// Two tensors of 24 and 4 bytes, and metadata.
  static let soundHeader = """
    {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
    "b":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]}}
    """
  static let sound = safetensors(soundHeader, bytes([1, -2, 3.5, 4, 5, 6]) + [0x80, 0x3f, 0x00, 0xc0])

  private func open(_ content: [UInt8]) throws -> SafetensorsFile {
    let folder = try TemporaryFolder()
    return try SafetensorsFile(try folder.write("x.safetensors", content))
  }

  /// Opens a file that must be refused, and checks that the error says so and names the file.
  private func refused(_ content: [UInt8], _ part: String, location: SourceLocation = #_sourceLocation) {
    let error = failure { _ = try open(content) }
    #expect(error?.kind == .badData, sourceLocation: location)
    #expect(
      part.isEmpty || error?.message.contains(part) == true, "\(String(describing: error))", sourceLocation: location)
    #expect(error?.file?.hasSuffix("x.safetensors") == true, sourceLocation: location)
  }

  private func refused(
    tensor entry: String, data: Int = 24, _ part: String, location: SourceLocation = #_sourceLocation
  ) {
    refused(
      safetensors("{\"w\":\(entry)}", [UInt8](repeating: 7, count: data)), "tensor 'w': \(part)", location: location)
  }

  @Test func soundFile() throws {
    let file = try open(Self.sound)
    #expect(file.names == ["a", "b"])
    #expect(file.metadata == ["format": "pt"])
    let start = 8 + Self.soundHeader.utf8.count
    #expect(file.tensors["a"] == TensorInfo(dtype: .f32, shape: [2, 3], range: start..<start + 24))
    #expect(try file.floats("a", shape: [2, 3]).array == [1, -2, 3.5, 4, 5, 6])
    #expect(try file.floats("b", shape: [2]).array == [1, -2])
    #expect(Array(try file.bytes(of: "b")) == [0x80, 0x3f, 0x00, 0xc0])
  }

  /// A view must outlive the file object it came from.
  @Test func alignedFloatsAreAViewAndMisalignedOnesACopy() throws {
    var header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}"
    for _ in 0..<8 {
      header += " "
      let aligned = header.utf8.count % 4 == 0
      let tensor: FloatTensor
      do {
        let file = try open(safetensors(header, bytes([0.5, -7, 1e30])))
        #expect(try file.isFloatAligned("a") == aligned)
        tensor = try file.floats("a", shape: [3])
      }
      #expect(tensor.isView == aligned)
      #expect(tensor.array == [0.5, -7, 1e30])
    }
  }

  /// Bytes of a mapped file that are resident in this process.
  private func resident(_ path: String) throws -> Int {
    var (isIt, kilobytes) = (false, 0)
    for line in try readPseudoFile("/proc/self/smaps").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.first?.contains("-") == true { isIt = line.hasSuffix(path) }
      if isIt, words.first == "Rss:" { kilobytes += Int(words[1]) ?? 0 }
    }
    return kilobytes << 10
  }

  @Test func smallTensorsThatAreDetachedLeaveNothingResident() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/x.safetensors"
    // Small ones far apart, as norms lie between matrices.
    let tensors = (0..<8).flatMap { number in
      [
        TensorOutput("a\(number).norm", [64], [Float](repeating: Float(number), count: 64)),
        TensorOutput("a\(number).weight", [1 << 18], [Float](repeating: 0, count: 1 << 18)),
      ]
    }
    try writeSafetensors(tensors, to: path)
    let file = try SafetensorsFile(path)
    let before = try resident(path)
    let norms = try (0..<8).map { try file.floats("a\($0).norm", shape: [64]).detached(upTo: 4096) }
    #expect(try resident(path) <= before)
    for (number, norm) in norms.enumerated() {
      #expect(!norm.isView && norm.array == [Float](repeating: Float(number), count: 64))
    }
    #expect(try file.floats("a0.weight", shape: [1 << 18]).detached(upTo: 4096).isView)
  }

  @Test func wrongShapeOrNameOrTypeIsRefusedByName() throws {
    let file = try open(
      safetensors("{\"n\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}", [0, 0, 0, 0]))
    #expect(failure { _ = try file.floats("n", shape: [1]) }?.message.contains("found I32") == true)
    #expect(failure { _ = try file.floats("x", shape: [1]) }?.message == "has no tensor 'x'")
    let shapes = failure { _ = try file.floats("n", shape: [1, 1]) }
    #expect(shapes?.message == "tensor 'n': expected shape [1, 1], found [1]")
  }

  @Test func everyPrefixIsRefused() throws {
    for length in 0..<Self.sound.count { refused(Array(Self.sound[..<length]), "") }
    refused(Self.sound + [0], "the tensors end at byte 28 of the data, which has 29")
  }

  @Test func headerLengths() {
    let data = [UInt8](repeating: 0, count: 32)
    for claimed in [1 << 63, UInt64.max, UInt64(Int.max), 100_000_001] {
      refused(safetensors("{}", data, claimed: claimed), "claims \(claimed) bytes")
    }
    refused(safetensors("{}", data, claimed: 35), "claims 35 bytes, but only 34 follow")
    refused(safetensors("", claimed: 0), "does not start with '{'")
  }

  @Test func headerThatIsNotAnObjectOfJSON() {
    refused(safetensors(" {}"), "does not start with '{'")
    refused(safetensors("[]"), "does not start with '{'")
    refused(safetensors("{\"a\":"), "not sound JSON")
    refused(safetensors("{}{}"), "not sound JSON")
    refused(safetensors(Array("{\"a".utf8) + [0xff, 0xfe] + Array("\":1}".utf8)), "not sound JSON")
    refused(safetensors(String(repeating: "{\"a\":", count: 200_000)), "not sound JSON")
    refused(safetensors("{\"a\":\(String(repeating: "[", count: 500_000))"), "not sound JSON")
    refused(safetensors("{\"a\":3}"), "its entry is not an object")
  }

  @Test func duplicateNames() {
    let entry = "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}"
    refused(safetensors("{\"a\":\(entry),\"a\":\(entry)}", [1]), "not sound JSON")
    refused(safetensors("{\"a\":\(entry),\"\\u0061\":\(entry)}", [1]), "not sound JSON")
  }

  @Test func metadataMustBeStrings() {
    refused(safetensors("{\"__metadata__\":{\"step\":3}}"), "__metadata__ of the safetensors header: 'step'")
    refused(safetensors("{\"__metadata__\":[]}"), "__metadata__ of the safetensors header is not an object")
    refused(safetensors("{\"__metadata__\":null}"), "__metadata__ of the safetensors header is not an object")
  }

  @Test func tensorEntries() {
    refused(tensor: "{\"shape\":[6],\"data_offsets\":[0,24]}", "'dtype' is missing")
    refused(tensor: "{\"dtype\":\"F31\",\"shape\":[6],\"data_offsets\":[0,24]}", "unknown dtype 'F31'")
    refused(tensor: "{\"dtype\":\"f32\",\"shape\":[6],\"data_offsets\":[0,24]}", "unknown dtype 'f32'")
    refused(tensor: "{\"dtype\":\"F32\",\"data_offsets\":[0,24]}", "'shape' is missing")
    for size in ["-6", "6.0", "\"6\"", "null", "99999999999999999999", "6.5", "1e1", "true"] {
      refused(tensor: "{\"dtype\":\"F32\",\"shape\":[\(size)],\"data_offsets\":[0,24]}", "'shape' holds something")
    }
    refused(tensor: "{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,24]}", "shape [5] of F32 takes 20 bytes")
    let half = "4611686018427387904"
    for shape in ["\(half),4", "\(half),\(half)", "\(half),\(half),0", "4,\(half),4", "\(Int.max),\(Int.max)"] {
      refused(tensor: "{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[0,24]}", "shape [")
    }
    refused(tensor: "{\"dtype\":\"F32\",\"shape\":[\(half)],\"data_offsets\":[0,0]}", data: 0, "shape [")
  }

  @Test func offsets() {
    func entry(_ offsets: String) -> String { "{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":\(offsets)}" }
    refused(tensor: entry("[0]"), "'data_offsets' has 1 numbers")
    refused(tensor: entry("[0,24,48]"), "'data_offsets' has 3 numbers")
    refused(tensor: entry("[-24,0]"), "'data_offsets' holds something other")
    refused(tensor: entry("[24,0]"), "'data_offsets' are reversed")
    refused(tensor: entry("[0,25]"), "ends at byte 25 of the data, which has only 24")
    refused(tensor: entry("[0,9223372036854775807]"), "ends at byte 9223372036854775807")
    refused(tensor: entry("[9223372036854775783,9223372036854775807]"), "ends at byte")
    refused(tensor: entry("{}"), "'data_offsets' is missing or not an array")
  }

  @Test func overlapsAndHoles() {
    func two(_ first: String, _ second: String, _ count: Int) -> [UInt8] {
      func entry(_ offsets: String) -> String { "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[\(offsets)]}" }
      return safetensors("{\"a\":\(entry(first)),\"b\":\(entry(second))}", [UInt8](repeating: 1, count: count))
    }
    refused(two("0,4", "0,4", 4), "tensor 'b' starts at byte 0 of the data, inside the one before it")
    refused(two("0,4", "3,7", 7), "tensor 'b' starts at byte 3 of the data, inside")
    refused(two("5,9", "0,4", 9), "tensor 'a' starts at byte 5 of the data: a hole after 4")
    refused(two("1,5", "5,9", 9), "tensor 'a' starts at byte 1 of the data: a hole after 0")
    refused(two("0,4", "4,8", 9), "the tensors end at byte 8 of the data, which has 9")
    #expect(throws: Never.self) { try open(two("4,8", "0,4", 8)) }
  }

  @Test func emptyTensorsAndFiles() throws {
    let empty = try open(
      safetensors(
        "{\"z\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[0,0]},"
          + "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}  ", bytes([9])))
    #expect(try empty.floats("z", shape: [0, 5]).count == 0)
    #expect(try empty.floats("s", shape: []).array == [9])
    #expect(try open(safetensors("{}")).names == [])
  }

  @Test func namesAreShownSafely() {
    let name = "\\u001b[31m" + String(repeating: "x", count: 10_000)
    let error = failure { _ = try open(safetensors("{\"\(name)\":1}")) }
    #expect(error?.message.contains("\u{1b}") == false)
    #expect((error?.message.count ?? 0) < 200)
  }

  /// The sound file with up to three bytes changed, removed or inserted.
  private func mutated(_ generator: inout SeededGenerator) -> [UInt8] {
    let digits = Array("0123456789-{}[]\",:eE.\\ \0\u{7f}".utf8)
    var content = Self.sound
    for _ in 0...generator.below(3) {
      let place = generator.below(content.count)
      switch generator.below(4) {
      case 0: content[place] = UInt8(generator.below(256))
      case 1: content[place] = digits[generator.below(digits.count)]
      case 2: content.remove(at: place)
      default: content.insert(digits[generator.below(digits.count)], at: place)
      }
    }
    // Half of them with the header's length put right, so that the damage gets past the first check.
    if generator.below(2) == 0, content.count > 36 {
      content.replaceSubrange(0..<8, with: littleEndian(UInt64(content.count - 36)))
    }
    return content
  }

  /// Thousands of seeded mutations of a sound file: each loads or throws one of our errors, and what loads can be read.
  @Test func mutations() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/x.safetensors"
    var generator = SeededGenerator(seed: 20)
    var loaded = 0
    for _ in 0..<3000 {
      try overwrite(path, mutated(&generator))
      do {
        let file = try SafetensorsFile(path)
        for name in file.names {
          guard let info = file.tensors[name], info.dtype.isReadableAsFloat else { continue }
          #expect(try file.floats(name, shape: info.shape).count == info.count)
        }
        loaded += 1
      } catch {
        #expect(error is SFTError)
      }
    }
    #expect(loaded > 100 && loaded < 2900)
  }
}
