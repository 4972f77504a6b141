/// Float memory that is reused from step to step: it grows and never shrinks, and is 64-byte aligned.
public final class FloatBuffer {
  public private(set) var pointer: MutableFloats
  public private(set) var capacity: Int

  public init(_ capacity: Int = 0) {
    self.capacity = capacity
    pointer = Self.allocate(capacity)
  }

  deinit { pointer.deallocate() }

  /// Makes room for `count` floats; what was there is lost where it grows. Fresh memory is zero.
  @discardableResult
  public func ensure(_ count: Int) -> MutableFloats {
    if count > capacity {
      pointer.deallocate()
      // A little more than asked for, so that batches of slightly different sizes do not reallocate each time.
      capacity = count + count / 16
      pointer = Self.allocate(capacity)
    }
    return pointer
  }

  public func clear(_ count: Int) { pointer.update(repeating: 0, count: count) }

  private static func allocate(_ count: Int) -> MutableFloats {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let floats = memory.bindMemory(to: Float.self, capacity: max(count, 1))
    floats.initialize(repeating: 0, count: max(count, 1))
    return floats
  }
}
