import Embedded
import Files
import TestSupport
import Testing

@Suite struct EmbeddedModelTests {
  /// What is embedded.
  private static let folder = parentPath(parentPath(fixturesFolder)) + "/Sources/CEmbedded/model"

  @Test func filesAreTheFoldersByteByByte() throws {
    let files = EmbeddedModel.files
    #expect(files.map(\.name) == files.map(\.name).sorted())
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
      #expect(files.contains { $0.name == name }, "\(name)")
    }
    for file in files {
      #expect(Array(file.bytes) == (try readFile(Self.folder + "/" + file.name)), "\(file.name)")
    }
    #expect(Set(try directoryEntries(Self.folder)) == Set(files.map(\.name)))
  }

  @Test func digestIsOfNamesAndContent() throws {
    var digester = Digester()
    for name in EmbeddedModel.files.map(\.name) {
      let bytes = try readFile(Self.folder + "/" + name)
      digester.update(name)
      digester.update(bytes.count)
      bytes.withUnsafeBytes { digester.update($0) }
    }
    #expect(EmbeddedModel.digest == digester.finish())
  }

  @Test func bytesStayWhereTheProgramHasThem() {
    // Twice the same addresses: nothing is copied.
    #expect(EmbeddedModel.files.map(\.bytes.baseAddress) == EmbeddedModel.files.map(\.bytes.baseAddress))
  }

  @Test func itIsSmall() {
    #expect(EmbeddedModel.files.reduce(0) { $0 + $1.bytes.count } < 10 << 20)
  }
}
