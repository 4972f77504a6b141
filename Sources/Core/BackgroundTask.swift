import Dispatch

/// One thing at a time that is done on a thread of its own while its owner goes on. Not for use by two threads at once.
package final class BackgroundTask<Value: Sendable>: @unchecked Sendable {
  private let done = DispatchSemaphore(value: 0)
  private var isBusy = false
  private var result: Result<Value, any Error>?

  package init() {}

  /// Begins it; where there is no thread to be had, does it. What was begun before must have been waited for.
  package func start(_ body: @escaping @Sendable () throws -> Value) {
    precondition(!isBusy && result == nil, "what was begun was not waited for")
    isBusy =
      startThread {
        self.result = Result { try body() }
        self.done.signal()
      } == 0
    if !isBusy { result = Result { try body() } }
  }

  /// What came of it, once; nil where nothing was begun.
  package func wait() throws -> Value? {
    if isBusy { done.wait() }
    isBusy = false
    defer { result = nil }
    return try result?.get()
  }
}
