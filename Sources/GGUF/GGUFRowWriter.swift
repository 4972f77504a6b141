import Core
import Files

/// Writes the values of one tensor as its type stores them, a piece of bounded size at a time.
struct GGUFRowWriter {
  private let tensor: GGUFTensorOutput
  private let length: Int
  private let file: OutputFile

  /// `length` is the tensor's in bytes.
  init(_ tensor: GGUFTensorOutput, _ length: Int, _ file: OutputFile) {
    (self.tensor, self.length, self.file) = (tensor, length, file)
  }

  /// Throws `internalError` unless `rows` gives exactly the tensor's values, in pieces of whole rows.
  func write(_ rows: (_ sink: GGUFTensorOutput.FloatSink) throws -> Void) throws {
    let type = tensor.type
    let row = tensor.shape.last ?? 1
    let count = length / type.blockBytes * type.blockElements
    // A multiple of every block.
    let pieceCount = 1 << 16
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: pieceCount / type.blockElements * type.blockBytes, alignment: 16)
    defer { buffer.deallocate() }
    var given = 0
    try rows { values in
      guard values.count % row == 0 else { throw failure("was given \(values.count) values, not rows of \(row)") }
      guard values.count <= count - given else { throw failure("was given more than its \(count) values") }
      given += values.count
      for start in stride(from: 0, to: values.count, by: pieceCount) {
        let piece = UnsafeBufferPointer(rebasing: values[start..<min(start + pieceCount, values.count)])
        let byteCount = piece.count / type.blockElements * type.blockBytes
        let blocks = UnsafeMutableRawBufferPointer(rebasing: buffer[..<byteCount])
        GGUFCodec.encode(type, piece, into: blocks)
        try file.write(UnsafeRawBufferPointer(blocks))
      }
    }
    guard given == count else { throw failure("expected \(count) values, was given \(given)") }
  }

  private func failure(_ message: String) -> SFTError {
    SFTError(.internalError, "tensor \(quoted(tensor.name)): \(message)", file: file.path)
  }
}
