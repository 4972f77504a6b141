import Core

/// What the time of a run goes into.
public enum ProfiledOperation: String, Sendable, Codable, CaseIterable {
  /// Products with the base's linears, which are frozen but in full fine-tuning; an adapter's last product, which is added
  /// in the same pass, included.
  case weightsForward = "weights_forward"
  case weightsBackward = "weights_backward"
  /// Gradients of the weights themselves, the head's included.
  case weightGradients = "weight_gradients"
  /// x · Aᵀ.
  case adapterForward = "adapter_forward"
  /// The gradients of A and B, and what leads to them.
  case adapterBackward = "adapter_backward"
  case headForward = "head_forward"
  case headBackward = "head_backward"
  /// Any other product of matrices.
  case otherProducts = "other_products"
  case attentionForward = "attention_forward"
  case attentionBackward = "attention_backward"
  case normForward = "norm_forward"
  case normBackward = "norm_backward"
  case activationForward = "activation_forward"
  case activationBackward = "activation_backward"
  case rotary
  case crossEntropy = "cross_entropy"
  case dropout
  /// Computing what the frozen layers below the adapters give, once for all records.
  case trunk
  case optimizer
  /// Sending gradients to other processes, and waiting for theirs.
  case exchange
  /// Waiting for the next batch.
  case batches
  case validation
  case saving
}

/// Adds up where the time goes, for whoever has one: kernels ask `Compute` for it.
///
/// Of operations inside one another the outermost counts, so the sums never overlap. Only the thread that calls the kernels
/// may use it; what it starts itself is inside its time.
public final class Profiler: @unchecked Sendable {
  public struct Sums: Sendable, Equatable {
    public var calls = 0
    public var seconds = 0.0
    /// Floating-point operations of matrix products.
    public var flop = 0.0
  }

  private var sums: [ProfiledOperation: Sums] = [:]
  private var isTiming = false
  /// What an update consists of, for a model of how it would go on other numbers of cores.
  public let updates = UpdateRecorder()

  public init() {}

  public subscript(_ operation: ProfiledOperation) -> Sums { sums[operation] ?? Sums() }

  /// Starts the clock; nil inside another operation.
  public func time(_ operation: ProfiledOperation, flop: Double = 0) -> Timing? {
    if isTiming { return nil }
    isTiming = true
    updates.begin(operation, entered: threadSeconds())
    return Timing(profiler: self, operation: operation, flop: flop, start: .now)
  }

  /// An operation on its way.
  public struct Timing {
    fileprivate let profiler: Profiler
    fileprivate let operation: ProfiledOperation
    fileprivate let flop: Double
    fileprivate let start: ContinuousClock.Instant

    public func end() {
      let entered = threadSeconds()
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      profiler.sums[operation, default: Sums()].calls += 1
      profiler.sums[operation, default: Sums()].seconds += seconds
      profiler.sums[operation, default: Sums()].flop += flop
      profiler.isTiming = false
      profiler.updates.end(operation, seconds: seconds, entered: entered)
    }
  }
}

extension Compute {
  /// Starts the clock where somebody wants to know; the caller ends it.
  func time(_ operation: ProfiledOperation, flop: Double = 0) -> Profiler.Timing? {
    profiler?.time(operation, flop: flop)
  }
}
