import Core
import Kernels

/// The stream that enters a block, of every training record, computed once: what the frozen blocks below give, as long as
/// no adapter changes them.
public struct TrunkOutputs: Sendable {
  /// The block that the stream enters: the lowest that is still to be computed.
  public let layer: Int
  /// C.
  public let width: Int
  /// Copies the rows of some positions of a record, [positions, C], to a place.
  public let copy: @Sendable (_ record: Int, _ positions: Range<Int>, _ place: MutableFloats) -> Void

  public init(
    layer: Int, width: Int,
    copy: @escaping @Sendable (_ record: Int, _ positions: Range<Int>, _ place: MutableFloats) -> Void
  ) {
    self.layer = layer
    self.width = width
    self.copy = copy
  }

  /// [N, C] for a batch of `samples`, which are the records of those numbers. Rows that samples share are the first one's.
  public func stream(_ batch: Batch, samples: [Sample], records: [Int]) -> TrunkStream {
    let buffer = FloatBuffer(batch.tokens.count * width)
    var isFilled = [Bool](repeating: false, count: batch.segments.count)
    for (sample, record) in zip(samples, records) {
      for index in batch.path(of: sample.tokens.dropLast()) where !isFilled[index] {
        isFilled[index] = true
        let segment = batch.segments[index]
        let positions = segment.startPosition..<segment.startPosition + segment.rows.count
        copy(record, positions, buffer.pointer + segment.rows.lowerBound * width)
      }
    }
    precondition(isFilled.allSatisfy { $0 }, "the batch has rows of other samples")
    return TrunkStream(layer: layer, buffer: buffer)
  }
}

/// The stream of a batch, [N, C], where it enters block `layer`. Written once, before it is handed on.
public final class TrunkStream: @unchecked Sendable {
  public let layer: Int
  private let buffer: FloatBuffer
  var values: Floats { Floats(buffer.pointer) }

  init(layer: Int, buffer: FloatBuffer) {
    self.layer = layer
    self.buffer = buffer
  }
}
