import Core
import Kernels

/// Is shown what a linear of the blocks gets: its place among the decoder's linears, and x[rows, in], valid during the call.
public typealias LinearObserver = (_ linear: Int, _ x: Floats, _ rows: Int) -> Void

/// The rows of a pass that one adapter, or none, is for.
struct AdapterShare {
  var adapter: Adapter?
  /// Among all rows, and among those that are wanted after the last block.
  var rows: Range<Int>
  var outputs: Range<Int>
}

/// Everything a pass carries along besides activations.
struct PassContext {
  var compute: Compute
  /// That of all rows; nil for the bare base, and where `shares` says whose rows are whose.
  var adapter: Adapter?
  /// Whose rows are whose where several adapters are in one pass, in the order of the rows; else none.
  var shares: [AdapterShare] = []
  /// The flat gradient of the adapter's parameters; nil where no adapter is trained.
  var gradients: MutableFloats?
  /// nil where the weights are frozen.
  var weightGradients: WeightGradients?
  /// Seed of the adapter's dropout masks; nil where it has none.
  var dropoutSeed: UInt64?
  /// The base's own dropout; nil where it is not active.
  var dropout: BaseDropout?
  /// What the rows turn by, for each of the decoder's rotations.
  var angles: [RotaryAngles] = []
  /// [N, widest input] for dropped-out inputs, and [N, r] for gradients of up to three linears; sized by the pass.
  var dropped: FloatBuffer
  var bottleneckGradients: [FloatBuffer]
  /// Rows that alone need some of a linear's outputs.
  var gathered: GatheredRows
  /// Panels of weights, for products.
  var panel: FloatBuffer
  /// Sees the input of every linear in a forward pass; nil where nobody looks.
  var observer: LinearObserver?

  /// The largest rank of an adapter: floats from one row of x · Aᵀ to the next.
  var rank: Int { (shares.map(\.adapter) + [adapter]).compactMap { $0?.configuration.rank }.max() ?? 0 }

  /// The adapters of `count` rows: of all rows of the pass, or of those that are wanted.
  func adapters(of count: Int) -> [(adapter: Adapter, rows: Range<Int>)] {
    guard let last = shares.last else { return adapter.map { [($0, 0..<count)] } ?? [] }
    let isAll = last.rows.upperBound == count
    precondition(isAll || last.outputs.upperBound == count, "neither all rows nor those that are wanted")
    return shares.compactMap { share in share.adapter.map { ($0, isAll ? share.rows : share.outputs) } }
  }

  /// Each linear has masks of its own.
  func dropoutSeed(_ linear: Linear) -> UInt64? {
    dropoutSeed.map { SeededGenerator.mix($0 &+ UInt64(linear.index &+ 1) &* 0x9e37_79b9_7f4a_7c15) }
  }
}
