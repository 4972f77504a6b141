import Core
import Files

/// A text that the user gives: itself, or for `-` what standard input holds, without its last line feed.
///
/// Throws `badData` where that is not UTF-8 or more than 64 MB, `usage` where standard input was read already.
func textArgument(_ argument: String) throws -> String {
  guard argument == "-" else { return argument }
  let file = try MappedFile(input: argument)
  guard file.count <= 64 << 20 else {
    throw SFTError(.badData, "is \(byteCount(file.count)), too much for one text", file: file.path)
  }
  guard var text = String(validating: file.bytes, as: UTF8.self) else {
    throw SFTError(.badData, "is not valid UTF-8", file: file.path)
  }
  // One Character may be "\r\n".
  if text.last == "\n" || text.last == "\r\n" { text.removeLast() }
  return text
}
