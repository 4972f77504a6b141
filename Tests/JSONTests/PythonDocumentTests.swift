import Core
import Files
import Foundation
import JSON
import Testing

/// Documents that Python's json has read; Fixtures/make_documents.py made them.
@Suite struct PythonDocumentTests {
  /// More of them may be named by SFT_JSON_DOCUMENTS.
  static let file =
    ProcessInfo.processInfo.environment["SFT_JSON_DOCUMENTS"] ?? parentPath(#filePath) + "/Fixtures/documents.txt"

  @Test func documentsAreReadAsPythonReadsThem() throws {
    var (count, refused) = (0, 0)
    for line in try readFile(Self.file).split(separator: UInt8(ascii: "\n")) {
      let parts = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
      try #require(parts.count == 2)
      let (document, expected) = (bytes(hex: parts[0]), String(decoding: parts[1], as: UTF8.self))
      let value = try? parse(document)
      let text = String(decoding: document, as: UTF8.self)
      count += 1
      if expected.hasPrefix("!") {
        refused += 1
        #expect(value == nil, "\(expected.dropFirst()): \(text)")
      } else if let value {
        #expect(described(value) == expected, "\(text)")
        #expect(described(try parse(value.serialized)) == expected, "\(text)")
      } else {
        Issue.record("refused, as \(refusal(document)): \(text)")
      }
    }
    #expect(count >= 400 && refused > count / 5)
  }
}

/// A value in the notation of the script.
private func described(_ value: JSONValue) -> String {
  switch value {
  case .null: return "n"
  case .bool(let truth): return truth ? "t" : "f"
  case .integer(let number): return "i\(number)"
  case .number(let number):
    let digits = String(number.bitPattern, radix: 16)
    return "d" + String(repeating: "0", count: 16 - digits.count) + digits
  case .string(let text): return described(text)
  case .array(let elements): return "[" + elements.map(described).joined(separator: ",") + "]"
  case .object(let object):
    return "{" + object.members.map { described($0.key) + ":" + described($0.value) }.joined(separator: ",") + "}"
  }
}

private let digits = Array("0123456789abcdef".utf8)

private func described(_ text: String) -> String {
  "s" + String(decoding: text.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

private func bytes(hex: ArraySlice<UInt8>) -> [UInt8] {
  func digit(_ byte: UInt8) -> UInt8 { byte & 0xf + (byte > UInt8(ascii: "9") ? 9 : 0) }
  let hex = Array(hex)
  return stride(from: 0, to: hex.count - 1, by: 2).map { digit(hex[$0]) << 4 | digit(hex[$0 + 1]) }
}
