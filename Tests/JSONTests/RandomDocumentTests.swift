import Core
import JSON
import Testing

/// Random documents, whose value is known because they were made from it, and damaged ones, which a second and plain
/// reading of the grammar must judge as the scanner does.
@Suite struct RandomDocumentTests {
  @Test func readsWhatWasWritten() throws {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<3_000 {
      let value = randomValue(&random, depth: 0)
      let text = spelled(value, &random)
      #expect(try parse(text) == value, "\(text)")
    }
  }

  @Test func judgesDamagedDocumentsAsThePlainGrammarDoes() {
    var random = SeededGenerator(seed: 8)
    let likely = Array("{}[]\",:\\u0e1-. \n\t/tfnd".utf8) + [0xc3, 0xa9, 0xed, 0xa0, 0xf0, 0x00]
    var refused = 0
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = Array(spelled(randomValue(&random, depth: 0), &random).utf8)
      for _ in 0...random.below(2) {
        let place = random.below(bytes.count + 1)
        switch random.below(3) {
        case 0: bytes.insert(likely[random.below(likely.count)], at: place)
        case 1 where place < bytes.count: bytes.remove(at: place)
        case 2 where place < bytes.count: bytes[place] = likely[random.below(likely.count)]
        default: break
        }
      }
      let isValid = bytes.withUnsafeBytes { raw in
        var scanner = JSONScanner(raw)
        return (try? scanner.scanDocument()) != nil
      }
      #expect(isValid == PlainGrammar.accepts(bytes), "\(bytes)")
      if isValid { accepted += 1 } else { refused += 1 }
      // json-c must take whatever the scanner lets through; a name may have become a duplicate.
      if isValid, case let message = refusal(bytes), !message.hasPrefix("accepted") {
        #expect(message.contains("twice in one object"), "\(message)")
      }
    }
    #expect(accepted > 2_000 && refused > 2_000)
  }

  @Test func delimitsAsItScans() throws {
    var random = SeededGenerator(seed: 9)
    for _ in 0..<2_000 {
      let values = (0..<4).map { _ in randomValue(&random, depth: 1) }
      let bytes = Array(("[" + values.map { spelled($0, &random) }.joined(separator: " ,\n") + "]").utf8)
      try bytes.withUnsafeBytes { raw in
        var strict = JSONScanner(raw, at: 1)
        var loose = JSONScanner(raw, at: 1)
        for index in values.indices {
          let range = try strict.scanValue()
          #expect(try loose.delimitValue() == range)
          strict.skipSpace()
          loose.skipSpace()
          let separator = index == values.count - 1 ? UInt8(ascii: "]") : UInt8(ascii: ",")
          #expect(strict.skip(separator) && loose.skip(separator))
        }
      }
    }
  }

  @Test(arguments: ["{\"a\": [1}", "[1", "\"a", "\"a\nb\"", "\"a\\", "]", ",", "{\"a\":\"b}"])
  func delimitsNothingThatHasNoEnd(_ text: String) {
    Array(text.utf8).withUnsafeBytes { raw in
      var scanner = JSONScanner(raw)
      #expect(throws: JSONSyntaxError.self) { try scanner.delimitValue() }
    }
  }
}

private let alphabet = Array("ab\"\\/\n\t\u{1}\u{0}é€😀 {}[],:0")

private func randomText(_ random: inout SeededGenerator) -> String {
  String((0..<random.below(14)).map { _ in alphabet[random.below(alphabet.count)] })
}

private func randomValue(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
  switch random.below(depth < 4 ? 9 : 6) {
  case 0: return .null
  case 1: return .bool(random.below(2) == 0)
  case 2: return .integer(Int(bitPattern: UInt(random.next() >> UInt64(random.below(64)))))
  case 3: return .number((random.uniform() - 0.5) * (random.below(2) == 0 ? 1e-30 : 1e30))
  case 4, 5: return .string(randomText(&random))
  case 6: return .array((0..<random.below(4)).map { _ in randomValue(&random, depth: depth + 1) })
  default:
    return .object(
      JSONObject(
        (0..<random.below(4)).map { index in
          (
            key: "\(index)" + randomText(&random).filter { $0 != "\u{0}" },
            value: randomValue(&random, depth: depth + 1)
          )
        }))
  }
}

/// One of the many spellings of a value.
private func spelled(_ value: JSONValue, _ random: inout SeededGenerator) -> String {
  let space = ["", "", " ", "\n", "\r\n\t"][random.below(5)]
  switch value {
  case .null: return "null" + space
  case .bool(let truth): return space + (truth ? "true" : "false")
  case .integer(let number): return space + "\(number)"
  case .number(let number): return "\(number)" + space
  case .string(let text): return space + spelled(text, &random)
  case .array(let elements): return "[" + space + elements.map { spelled($0, &random) }.joined(separator: ",") + "]"
  case .object(let object):
    let members = object.members.map { spelled($0.key, &random) + space + ":" + spelled($0.value, &random) }
    return "{" + space + members.joined(separator: space + ",") + "}"
  }
}

private func spelled(_ text: String, _ random: inout SeededGenerator) -> String {
  var spelling = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": spelling += "\\" + String(scalar)
    case "\n" where random.below(2) == 0: spelling += "\\n"
    case "/" where random.below(2) == 0: spelling += "\\/"
    case _ where scalar.value < 0x20 || random.below(8) == 0:
      for unit in String(scalar).utf16 {
        let digits = String(unit, radix: 16, uppercase: random.below(2) == 0)
        spelling += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    default: spelling.unicodeScalars.append(scalar)
    }
  }
  return spelling + "\""
}
