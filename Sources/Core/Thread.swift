import Glibc

/// Runs `body` on a thread of its own, which nobody waits for. Returns 0, or, with nothing run, the reason that there is no
/// thread, as `errno` gives it.
package func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
  final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  let start = Unmanaged.passRetained(Start(body))
  var thread = pthread_t()
  let result = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
      return nil
    }, start.toOpaque())
  if result == 0 { pthread_detach(thread) } else { start.release() }
  return result
}
