import Core
import Kernels

/// The base's own dropout during one pass: on the attention weights, and where `coversStream`, as in GPT-2, on the
/// embeddings and on what attention and MLP add to the stream. Masks are functions of the pass's seed, the place, row
/// and column, so the backward pass finds them again.
struct BaseDropout {
  var probability: Float
  var coversStream: Bool
  /// Of this pass.
  var seed: UInt64

  enum Place {
    case embeddings
    /// Attention weights, by the linear that makes the queries.
    case attention(Linear)
    /// What a linear adds to the stream.
    case output(Linear)

    var number: Int {
      switch self {
      case .embeddings: 0
      case .attention(let linear), .output(let linear): 1 + linear.index
      }
    }
  }

  func seed(_ place: Place) -> UInt64 {
    // An adapter's own masks are streams of the same seed.
    SeededGenerator.mix((seed ^ 0x6261_7365) &+ UInt64(place.number &+ 1) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// x[N, C] with its mask laid over it, into `y` or added to it; `indices` are the rows' own where they are a selection.
  func apply(
    _ place: Place, _ x: Floats, _ y: MutableFloats, rows: Int, indices: [Int]?, width: Int, accumulate: Bool = false,
    _ compute: Compute
  ) {
    Elementwise.dropout(
      x, y, rows: rows, indices: indices, width: width, p: probability, seed: seed(place), accumulate: accumulate,
      compute)
  }
}
