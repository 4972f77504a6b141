import Kernels
import Models

/// What every part of a decoder gives for one text, in the order of the computation: enough of it to find the first part that
/// another implementation computes differently.
public struct ActivationReport: Sendable, Encodable {
  public struct Part: Sendable, Encodable {
    /// nil for what stands before and after the blocks.
    public var layer: Int?
    public var part: String
    /// The token that it is about; nil for all of them.
    public var position: Int?
    /// [rows, width].
    public var shape: [Int]
    /// Euclidean norm over all of the shape; nil where it is no finite number.
    public var norm: Double?
    /// Mean over all of the shape; nil where it is no finite number.
    public var mean: Double?
    /// The first and the last values of the last row; nil where not finite.
    public var first: [Float?]
    public var last: [Float?]
  }

  public var text: String
  public var tokens: [Int32]
  public var parts: [Part]

  /// Values that are shown of either end of a row.
  private static let shown = 4

  /// `everyPosition`: each token apart. `tokens` are one at least, and fit into the model's context and vocabulary.
  public init(_ text: String, _ tokens: [Int32], _ pass: InferencePass, everyPosition: Bool) {
    (self.text, self.tokens) = (text, tokens)
    var sums: [Sum] = []
    pass.inspect(tokens) { output in
      // Rows of one part may come in several calls.
      let isNew = sums.last.map { $0.layer != output.layer || $0.part != output.part } ?? true
      for row in 0..<output.rows {
        if everyPosition || (isNew && row == 0) {
          sums.append(Sum(output, position: isNew && row == 0 ? 0 : (sums.last?.position ?? -1) + 1))
        }
        sums[sums.count - 1].add(output.values + row * output.stride)
      }
    }
    parts = sums.map { $0.part(everyPosition: everyPosition) }
  }

  private struct Sum {
    let layer: Int?
    let part: DecoderPart
    let position: Int
    let width: Int
    private var rows = 0
    private var sum = 0.0
    private var squares = 0.0
    private var lastRow: [Float] = []

    init(_ output: PartOutput, position: Int) {
      (layer, part, width, self.position) = (output.layer, output.part, output.width, position)
    }

    mutating func add(_ row: Floats) {
      let values = UnsafeBufferPointer(start: row, count: width)
      for value in values {
        sum += Double(value)
        squares += Double(value) * Double(value)
      }
      lastRow = values.prefix(ActivationReport.shown) + values.suffix(ActivationReport.shown)
      rows += 1
    }

    func part(everyPosition: Bool) -> Part {
      func finite<Number: FloatingPoint>(_ value: Number) -> Number? { value.isFinite ? value : nil }
      let shown = lastRow.map { finite($0) }
      return Part(
        layer: layer, part: part.rawValue, position: everyPosition ? position : nil, shape: [rows, width],
        norm: finite(squares.squareRoot()), mean: finite(sum / Double(rows * width)),
        first: Array(shown.prefix(shown.count / 2)), last: Array(shown.suffix(shown.count / 2)))
    }
  }
}
