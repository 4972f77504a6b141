import Core
import GGUF
import Testing

@Suite struct MetadataTests {
  @Test func keysKeepTheirOrder() {
    var metadata = GGUFMetadata()
    metadata["b"] = .bool(true)
    metadata["a"] = .bool(false)
    metadata["c"] = .string("x")
    metadata["b"] = .uint8(1)
    #expect(metadata.keys == ["b", "a", "c"])
    #expect(metadata["b"] == .uint8(1))
    metadata["a"] = nil
    metadata["nothing"] = nil
    #expect(metadata.keys == ["b", "c"])
    metadata["a"] = .int8(2)
    #expect(metadata.keys == ["b", "c", "a"])
  }

  @Test func gettersTakeWhatFits() throws {
    let metadata = LayoutTests.metadata()
    #expect(try metadata.int("k.u8") == 200)
    #expect(try metadata.int("k.i64") == Int.min)
    #expect(try metadata.double("k.u64") == 0x1p64)
    #expect(try metadata.double("k.f32") == Double(Float(1e-5)))
    #expect(try metadata.double("k.i8") == -100)
    #expect(try metadata.bool("k.no") == false)
    #expect(try metadata.string("k.text") == "grüße\n日本 🍐\0")
    #expect(try metadata.strings("a.text") == ["<s>", "é", "Ġa"])
    #expect(try metadata.ints("a.i16") == [-1, 2, -3])
    #expect(try metadata.floats("a.f64") == [0.1])
    #expect(try metadata.floats("a.u64") == [0x1p63])
    #expect(try metadata.floats("a.i8") == [-128, 127])
    #expect(try metadata.bools("a.bool") == [true, false, true])
    #expect(try metadata.int("none") == nil)
    #expect(try metadata.strings("none") == nil)
  }

  @Test func gettersNameTheKeyThatIsSomethingElse() throws {
    let file = try GGUFFile(fixture("layout.gguf"))
    func message<Value>(_ read: (GGUFMetadata) throws -> Value) -> String? {
      do {
        _ = try read(file.metadata)
        return nil
      } catch let error as SFTError {
        #expect(error.kind == .badData && error.file == file.path)
        return error.message
      } catch { return nil }
    }
    #expect(
      message { try $0.int("k.u64") } == "the key 'k.u64' is expected to be an integer of at most 63 bits, "
        + "but is uint64 18446744073709551615")
    #expect(message { try $0.string("k.u8") } == "the key 'k.u8' is expected to be a string, but is uint8 200")
    #expect(message { try $0.int("k.f32") }?.hasSuffix("but is float32") == true)
    #expect(message { try $0.double("k.yes") }?.hasSuffix("a number, but is bool") == true)
    #expect(message { try $0.bool("k.u8") }?.contains("a bool") == true)
    #expect(message { try $0.strings("a.u8") }?.hasSuffix("an array of strings, but is array of uint8") == true)
    #expect(message { try $0.ints("a.u64") }?.hasSuffix("but is array of uint64") == true)
    #expect(message { try $0.floats("a.bool") }?.hasSuffix("but is array of bool") == true)
    #expect(message { try $0.bools("k.yes") }?.contains("an array of bools") == true)
  }
}
