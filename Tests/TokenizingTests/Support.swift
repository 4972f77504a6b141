import Core
import Files
import Glibc
import JSON
import Testing
import Tokenizing

/// Folders of Tests/TokenizingTests/Fixtures that hold a tokenizer.json and its golden.json.
let fixtureNames = [
  "added", "added-prefix", "digits", "gpt2", "gpt4", "llama3", "prefix", "qwen2", "uncut",
]

func fixturePath(_ name: String) -> String { parentPath(#filePath) + "/Fixtures/" + name }

func fixture(_ name: String) throws -> Tokenizer { try Tokenizer(folder: fixturePath(name)) }

func fixtureTexts() throws -> [String] {
  try #require(try parseJSONFile(fixturePath("texts.json")).array).compactMap(\.string)
}

func ids(_ value: JSONValue) -> [Int32] { (value.array ?? []).compactMap { $0.int.flatMap { Int32(exactly: $0) } } }

func fileText(_ path: String) throws -> String { String(decoding: try readFile(path), as: UTF8.self) }

/// Runs `body` with a new folder that holds `files` by name, and removes it.
func withFolder<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
  var template = Array("/tmp/sft-tokenizing-XXXXXX".utf8CString)
  let made = template.withUnsafeMutableBufferPointer { buffer in
    buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
  }
  let folder = try #require(made)
  defer { try? removeTree(folder) }
  for (name, text) in files { try writeAtomically(text, to: "\(folder)/\(name)") }
  return try body(folder)
}

/// The error of loading a folder that holds `files`; fails the test where it loads.
func loadingError(_ files: [String: String]) throws -> SFTError {
  try withFolder(files) { folder in
    do {
      _ = try Tokenizer(folder: folder)
    } catch let error as SFTError {
      return error
    }
    Issue.record("loaded \(files.keys.sorted())")
    return SFTError(.internalError, "loaded")
  }
}

extension SeededGenerator {
  /// A text of words, contractions, runs, white space of every kind, and code points of all planes.
  mutating func text() -> String {
    var result = ""
    for _ in 0..<below(8) {
      switch below(8) {
      case 0:
        result += String(
          repeating: pick([" ", "\n", "\r\n", "\t", "\u{a0}", "\u{3000}", "\u{85}"]), count: 1 + below(4))
      case 1: result += pick(["'s", "'t", "'RE", "'ve", "'lL", "'ſ", "'", "'x", " 's", "\u{200b}", "\u{1c}", "\0"])
      case 2:
        result +=
          pick([" ", "", "\n"]) + pick(["the", "and", "instruction", "Response:", "don't", "naïve", "e\u{301}"])
      case 3: result += (0...below(6)).map { _ in pick(["1", "0", "42", "٣", "½", "Ⅷ"]) }.joined()
      case 4: result += (0...below(6)).map { _ in scalar(below: 0x11_0000) }.joined()
      case 5: result += (0...below(6)).map { _ in scalar(below: 0x3000) }.joined()
      case 6: result += (0...below(12)).map { _ in scalar(below: 0x80) }.joined()
      default: result += String(repeating: pick(["a", "e", "-", "th", "한국", "👩🏽‍🚀", "!"]), count: 1 + below(70))
      }
    }
    return result
  }

  private mutating func pick(_ choices: [String]) -> String { choices[below(choices.count)] }

  private mutating func scalar(below bound: Int) -> String {
    Unicode.Scalar(UInt32(below(bound))).map { String(Character($0)) } ?? "\u{fffd}"
  }
}
