import Core
import JSON
import Testing
import Tokenizing

/// Ids and texts that Hugging Face's tokenizers made (Fixtures/make_fixtures.py).
@Suite struct GoldenTests {
  @Test(arguments: fixtureNames) func encodes(name: String) throws {
    let golden = try parseJSONFile(fixturePath(name) + "/golden.json")
    let texts = try fixtureTexts()
    let plain = try #require(golden["plain"]?.array)
    try #require(plain.count == texts.count)
    let encoder = try fixture(name).makeEncoder()
    for (index, text) in texts.enumerated() {
      #expect(encoder.encode(text) == ids(plain[index]), "\(name), text \(index): \(text.debugDescription)")
      let special = golden["special"]?[String(index)] ?? plain[index]
      var found: [Int32] = []
      encoder.encode([TextPiece(text: text, recognisesSpecialTokens: true)], into: &found)
      #expect(found == ids(special), "\(name), special, text \(index): \(text.debugDescription)")
    }
  }

  @Test(arguments: fixtureNames) func decodes(name: String) throws {
    let golden = try parseJSONFile(fixturePath(name) + "/golden.json")
    let tokenizer = try fixture(name)
    for item in try #require(golden["decoded"]?.array) {
      let parts = try #require(item.array)
      for (skip, expected) in [(false, parts[1].string ?? ""), (true, parts[2].string ?? "")] {
        let text = try tokenizer.decode(ids(parts[0]), skipSpecialTokens: skip)
        #expect(Array(text.utf8) == Array(expected.utf8))
        var decoder = tokenizer.makeDecoder(skipSpecialTokens: skip)
        var streamed = ""
        for id in ids(parts[0]) { streamed += try decoder.push(id) }
        streamed += decoder.finish()
        #expect(Array(streamed.utf8) == Array(expected.utf8))
      }
    }
  }

  /// The classes were taken from another program's behaviour; here they are compared with Swift's own Unicode tables,
  /// over the code points that both know.
  @Test func characterClasses() {
    for value in UInt32(0)..<0x11_0000 {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let properties = scalar.properties
      guard let age = properties.age, age.major <= 15 else {
        #expect(properties.age != nil || CharacterClass.of(scalar) == .other)
        continue
      }
      let expected: CharacterClass =
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
        case .decimalNumber, .letterNumber, .otherNumber: .number
        default: properties.isWhitespace ? .space : .other
        }
      if CharacterClass.of(scalar) != expected { Issue.record("U+\(String(value, radix: 16))") }
    }
  }
}
