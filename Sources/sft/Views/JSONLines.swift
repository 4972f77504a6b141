import Files
import JSON

/// Every line of a JSONL file that is not blank, with its 1-based number; a byte order mark is no part of the first.
func forEachJSONLine(_ input: MappedFile, _ body: (JSONValue, Int) throws -> Void) throws {
  var number = 0
  for line in withoutByteOrderMark(input.bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
    number += 1
    guard line.contains(where: { $0 != 32 && !(9...13).contains($0) }) else { continue }
    try body(try parseJSON(UnsafeRawBufferPointer(rebasing: line), file: input.path, firstLine: number), number)
  }
}
