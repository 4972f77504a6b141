import Core
import Files

/// Where weights lie that are not in a model's own file: in one file beside it, which several models may share.
///
/// Each weight starts at a multiple of the alignment, so that a runtime can map it: of 4 KiB, a page, under Linux and macOS,
/// and 64 KiB under Windows. A weight that is shorter than that stays in the model's file.
public struct ExternalData: Sendable {
  /// The name of the file, in the model's folder.
  public let file: String
  /// By name, each weight's first byte and number of bytes in the file.
  package let places: [String: Range<Int>]

  public static let standardAlignment = 1 << 16

  /// Writes those of the weights that are long enough to `folder/file`, one after the other as they come.
  ///
  /// Throws `internalError` where two weights have one name or one gives the wrong number of bytes, `cannotCreate` and
  /// `inputOutput` where the file cannot be written, and what a weight's closure throws.
  public init(
    _ weights: [WeightValues], writingTo file: String, in folder: String, alignment: Int = standardAlignment
  ) throws {
    precondition(alignment > 0)
    let output = try OutputFile(folder + "/" + file)
    var places: [String: Range<Int>] = [:]
    for weight in weights {
      let length = try weight.byteCount(in: output.path)
      if length < alignment { continue }
      let gap = (alignment - output.count % alignment) % alignment
      try output.write([UInt8](repeating: 0, count: gap))
      let start = output.count
      guard places.updateValue(start..<start + length, forKey: weight.name) == nil else {
        throw SFTError(.internalError, "two weights have the name \(quoted(weight.name))", file: output.path)
      }
      try weight.write(length, to: output)
    }
    try output.commit()
    (self.file, self.places) = (file, places)
  }
}

extension WeightValues {
  /// Bytes that the weight has. Throws `internalError` for a shape that cannot be.
  func byteCount(in path: String) throws -> Int {
    guard let count = Graph.byteCount(shape) else {
      throw SFTError(.internalError, "the weight \(quoted(name)) has the impossible shape \(shape)", file: path)
    }
    return count
  }

  /// Writes the values. Throws `internalError` unless they are `length` bytes.
  func write(_ length: Int, to output: OutputFile) throws {
    let start = output.count
    try write { try output.write($0) }
    guard output.count - start == length else {
      throw SFTError(
        .internalError, "the weight \(quoted(name)): expected \(length) bytes, was given \(output.count - start)",
        file: output.path)
    }
  }
}
