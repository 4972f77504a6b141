import Core
import Kernels

/// Is shown what a linear of the blocks gets: its place among the decoder's linears, and x[rows, in], valid during the call.
public typealias LinearObserver = (_ linear: Int, _ x: Floats, _ rows: Int) -> Void

/// Everything a pass carries along besides activations.
struct PassContext {
  var compute: Compute
  /// nil for the bare base.
  var adapter: Adapter?
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

  /// Each linear has masks of its own.
  func dropoutSeed(_ linear: Linear) -> UInt64? {
    dropoutSeed.map { SeededGenerator.mix($0 &+ UInt64(linear.index &+ 1) &* 0x9e37_79b9_7f4a_7c15) }
  }
}
