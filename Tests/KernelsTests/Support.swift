import Kernels

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
