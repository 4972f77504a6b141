import Core
import Files
import JSON

/// Reads GPT-2's original pair of files: `vocab.json`, an object of ids by token, and `merges.txt`, one merge a line.
/// Everything else is as in GPT-2's tokenizer.
enum VocabularyFiles {
  static func read(vocabulary vocabularyPath: String, merges mergesPath: String) throws -> TokenizerDescription {
    var result = TokenizerDescription()
    result.vocabularyFile = vocabularyPath
    result.mergesFile = mergesPath
    guard let vocabulary = try parseJSONFile(vocabularyPath).object else {
      throw SFTError(.badData, "is not a JSON object", file: vocabularyPath)
    }
    result.vocabulary = try vocabularyEntries(vocabulary, vocabularyPath)
    try readMerges(mergesPath, into: &result)
    result.addSpecialTokens(named: ["<|endoftext|>"])
    return result
  }

  private static func readMerges(_ path: String, into result: inout TokenizerDescription) throws {
    let bytes = try readFile(path, limit: 256 << 20)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SFTError(.badData, "is not UTF-8 text", file: path)
    }
    var lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false)
    while lines.last?.isEmpty == true { lines.removeLast() }
    let hasHeader = lines.first?.starts(with: "#version".utf8) == true
    result.mergesLine = hasHeader ? 2 : 1
    for (index, line) in lines.enumerated() where index > 0 || !hasHeader {
      let line = line.last == 0x0d ? line.dropLast() : line
      guard let pair = splitMerge(String(Substring(line))) else {
        throw SFTError(
          .badData, "is not two tokens with a space between them", file: path, line: index + 1,
          advice: "Fetch the file again: it may be cut short")
      }
      result.merges.append(pair)
    }
  }
}
