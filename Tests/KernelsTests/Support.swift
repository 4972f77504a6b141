import Kernels
import TestSupport

/// The fast path and the plain reference. `threads` is set afterwards: `Compute`'s initialiser would change the number of
/// threads of the linear algebra for tests that run at the same time.
func compute(_ engine: Engine, threads: Int = 2) -> Compute {
  var compute = Compute(engine: engine)
  compute.threads = threads
  return compute
}

extension [Float] {
  /// Calls `body` with the elements' address, and gives the array as it is afterwards.
  func changed(_ body: (MutableFloats) -> Void) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress {
        base.initialize(from: self, count: count)
        body(base)
      }
      initialized = count
    }
  }
}

/// Calls `body` with memory for operands: each call of its argument gives the address of a copy of the
/// values, which lasts until `body` returns.
func withOperands<Result>(_ body: ((_ values: [Float]) -> Floats) -> Result) -> Result {
  var kept: [FloatBuffer] = []
  defer { withExtendedLifetime(kept) {} }
  return body { values in
    let buffer = FloatBuffer(max(1, values.count))
    kept.append(buffer)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { buffer.pointer.update(from: base, count: source.count) }
    }
    return Floats(buffer.pointer)
  }
}
